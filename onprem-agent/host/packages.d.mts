/** Debian packages an on-prem host needs. */
export const requiredPackages: string[];
