/** Types of install.mjs, which is plain JavaScript because it runs before anything is installed. */
export interface InstallEvidence {
  installed: boolean;
  stamp: { lockHash: string; target: string; time?: number } | undefined;
  lockHash: string;
  target: string;
  lockTime: number;
  hiddenLockTime: number | undefined;
}
export function installDecision(evidence: InstallEvidence): { install: boolean; why: string };
export function inspectInstall(folder?: string): { install: boolean; why: string; lockHash: string; target: string };
export function missingPackages(folder?: string): string[];
export function ensurePackages(): Promise<boolean>;
