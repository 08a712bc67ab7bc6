/**
 * Sizes that an Azure instance type's name fixes: the number is the vCPUs, and the series has one ratio of memory to
 * vCPUs in every size up to the one given (https://learn.microsoft.com/azure/virtual-machines/sizes/overview). Larger sizes
 * of E and of the Arm series have less memory, so they are not here; nor are constrained and confidential sizes.
 */
const SERIES: { pattern: RegExp; gibPerVcpu: number; largest: number }[] = [
  // Arm before the others: feature letter p.
  { pattern: /^Standard_D(\d+)pl(d?)s_v[56]$/, gibPerVcpu: 2, largest: 48 },
  { pattern: /^Standard_D(\d+)p(d?)s_v[56]$/, gibPerVcpu: 4, largest: 48 },
  { pattern: /^Standard_E(\d+)p(d?)s_v[56]$/, gibPerVcpu: 8, largest: 20 },
  { pattern: /^Standard_D(\d+)a?l(d?)s_v[56]$/, gibPerVcpu: 2, largest: 96 },
  { pattern: /^Standard_D(\d+)a?d?s?_v[3456]$/, gibPerVcpu: 4, largest: 96 },
  { pattern: /^Standard_E(\d+)a?b?d?s?_v[3456]$/, gibPerVcpu: 8, largest: 48 },
  { pattern: /^Standard_F(\d+)s_v2$/, gibPerVcpu: 2, largest: 72 },
  { pattern: /^Standard_L(\d+)a?s_v[23]$/, gibPerVcpu: 8, largest: 80 },
  { pattern: /^Standard_B(\d+)[ap]?ls_v2$/, gibPerVcpu: 2, largest: 4 },
  { pattern: /^Standard_B(\d+)[ap]?s_v2$/, gibPerVcpu: 4, largest: 32 },
];

/** vCPUs and GiB of an instance type whose name fixes them. */
export function azureSizeOf(instanceType: string): { vcpus: number; memoryGiB: number } | undefined {
  for (const { pattern, gibPerVcpu, largest } of SERIES) {
    const match = pattern.exec(instanceType);
    if (match === null) continue;
    const vcpus = Number(match[1]);
    return vcpus >= 1 && vcpus <= largest ? { vcpus, memoryGiB: vcpus * gibPerVcpu } : undefined;
  }
  return undefined;
}
