/**
 * What an instance type's name says for certain, by the providers' documented naming schemes. Nothing here
 * guesses a size.
 *
 * - AWS: https://docs.aws.amazon.com/ec2/latest/instancetypes/instance-type-names.html
 * - Azure: https://learn.microsoft.com/azure/virtual-machines/vm-naming-conventions
 * - GCP: https://cloud.google.com/compute/docs/machine-resource
 */

/** The instance family: `m7g` (AWS), `n2d` (GCP), `Dpsv5` (Azure); the type itself where no scheme is known. */
export function familyOf(provider: string, instanceType: string): string {
  if (provider === 'aws') return instanceType.split('.')[0]!;
  if (provider === 'gcp') return instanceType.split('-')[0]!;
  if (provider === 'azure') {
    const parts = azureParts(instanceType);
    if (parts !== null) return `${parts.family}${parts.features}${parts.version}`;
    return instanceType.replace(/^(Standard|Basic)_/, '');
  }
  if (provider === 'onprem') return instanceType.split('-')[0]!;
  return instanceType;
}

/** The processor architecture an instance type runs. */
export function architectureOf(provider: string, instanceType: string): 'x86_64' | 'arm64' {
  // AWS: the first letter after the generation digit is the processor, g = Graviton; a1 is Graviton 1.
  if (provider === 'aws') return /^([a-z]+\d+g|a1\.)/.test(instanceType) ? 'arm64' : 'x86_64';
  // GCP: Tau T2A is Ampere, C4A, N4A and A4X are Arm; all other series are x86.
  if (provider === 'gcp') return /^(t2a|c4a|n4a|a4x)(-|$)/.test(instanceType) ? 'arm64' : 'x86_64';
  // Azure: feature letter p = Arm.
  if (provider === 'azure')
    return azureParts(instanceType)?.features.includes('p') === true ? 'arm64' : 'x86_64';
  return 'x86_64';
}

/** Whether CPU time is a credit or a share: AWS t, GCP's shared core, Azure B. */
export function burstableOf(provider: string, instanceType: string): boolean {
  if (provider === 'aws') return /^t\d/.test(instanceType);
  if (provider === 'gcp') return /^(f1-micro|g1-small|e2-(micro|small|medium))$/.test(instanceType);
  if (provider === 'azure') return /^(Standard_)?B\d/.test(instanceType);
  return false;
}

/** `Standard_D4ps_v5` → family D, 4 vCPUs, features ps, version v5; null when the name is of another form. */
export function azureParts(
  instanceType: string,
): { family: string; vcpus: number; features: string; version: string } | null {
  const match = /^(?:Standard_|Basic_)?([A-Z]{1,3})(\d+)(?:-\d+)?([a-z]*)(?:_[A-Z0-9]+)?(?:_(v\d+))?$/.exec(
    instanceType,
  );
  if (match === null) return null;
  return { family: match[1]!, vcpus: Number(match[2]), features: match[3]!, version: match[4] ?? '' };
}
