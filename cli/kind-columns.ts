/** The columns of each kind's table. */
import type { Operation, Schemas } from '@landfall/model';
import { age, count, gib, number, pricePerHour, pricePerMonth } from '@landfall/model/quantities.ts';
import type { Column } from './output/table.ts';

function labels(value: Record<string, string> | undefined): string {
  return Object.entries(value ?? {})
    .map(([name, text]) => `${name}=${text}`)
    .join(',');
}

export const labelsColumn: Column<{ labels?: Record<string, string> }> = {
  header: 'LABELS',
  wide: true,
  cell: (item) => labels(item.labels),
};
export const idColumn: Column<{ id?: string }> = { header: 'ID', wide: true, cell: (item) => item.id };
export const ageColumn: Column<{ createdAt?: string }> = {
  header: 'AGE',
  cell: (item, now) => age(item.createdAt, now),
};
export const nameColumn: Column<{ name: string }> = { header: 'NAME', cell: (item) => item.name };

/** The address to reach an instance at: an external one before an internal one. */
export function mainAddress(status: Schemas['InstanceStatus']): string | undefined {
  const addresses = status.addresses ?? [];
  return (addresses.find((item) => item.type === 'external') ?? addresses[0])?.address;
}

export const organization: Column<Schemas['Organization']>[] = [
  nameColumn,
  ageColumn,
  labelsColumn,
  idColumn,
];

export const project: Column<Schemas['Project']>[] = [
  nameColumn,
  { header: 'ORGANIZATION', cell: (item) => item.organization },
  { header: 'MAX INSTANCES', align: 'right', cell: (item) => number(item.limits.instances) },
  { header: 'MAX VCPUS', align: 'right', cell: (item) => number(item.limits.vcpus) },
  { header: 'MAX MEMORY', align: 'right', cell: (item) => gib(item.limits.memoryGiB) },
  ageColumn,
  labelsColumn,
  idColumn,
];

export const token: Column<Schemas['Token']>[] = [
  nameColumn,
  { header: 'ROLE', cell: (item) => item.role },
  {
    header: 'SCOPE',
    cell: (item) =>
      item.site ? `site ${item.site}` : item.project ? `project ${item.project}` : item.organization,
  },
  { header: 'EXPIRES', cell: (item) => item.expiresAt ?? 'never' },
  { header: 'LAST USED', cell: (item, now) => age(item.lastUsedAt, now) },
  ageColumn,
  { header: 'ID', cell: (item) => item.id },
];

export const site: Column<Schemas['Site']>[] = [
  nameColumn,
  { header: 'STATE', state: true, cell: (item) => item.status.state },
  { header: 'PROVIDER', cell: (item) => item.spec.provider },
  { header: 'REGIONS', cell: (item) => item.spec.regions?.join(',') },
  { header: 'HOSTS', align: 'right', cell: (item) => number(item.status.hosts) },
  { header: 'INSTANCES', align: 'right', cell: (item) => number(item.status.instances) },
  { header: 'INVENTORY', cell: (item, now) => age(item.status.lastInventoryAt, now) },
  ageColumn,
  { header: 'ENDPOINT', wide: true, cell: (item) => item.spec.endpoint },
  { header: 'MESSAGE', wide: true, cell: (item) => item.status.message },
  labelsColumn,
  idColumn,
];

export const host: Column<Schemas['Host']>[] = [
  nameColumn,
  { header: 'STATE', state: true, cell: (item) => item.state },
  { header: 'SITE', cell: (item) => item.site },
  { header: 'ZONE', cell: (item) => item.zone },
  { header: 'ACCEL', cell: (item) => item.accel },
  {
    header: 'VCPUS',
    align: 'right',
    cell: (item) => `${number(item.claimed.vcpus)}/${number(item.capacity.vcpus)}`,
  },
  {
    header: 'MEMORY',
    align: 'right',
    cell: (item) => `${number(item.claimed.memoryGiB)}/${gib(item.capacity.memoryGiB)}`,
  },
  {
    header: 'DISK',
    align: 'right',
    cell: (item) => `${number(item.claimed.diskGiB)}/${gib(item.capacity.diskGiB)}`,
  },
  {
    header: 'GPUS',
    cell: ({ capacity, claimed, gpuName }) =>
      capacity.gpus ? `${number(claimed.gpus ?? 0)}/${number(capacity.gpus)} ${gpuName}` : '',
  },
  { header: 'LAST SEEN', cell: (item, now) => age(item.lastSeenAt, now) },
  ageColumn,
  { header: 'ARCH', wide: true, cell: (item) => item.architecture },
  { header: 'AGENT', wide: true, cell: (item) => item.agentVersion },
  { header: 'IMAGES', wide: true, cell: (item) => item.images?.join(',') },
  idColumn,
];

export const offer: Column<Schemas['Offer']>[] = [
  { header: 'PROVIDER', cell: (item) => item.provider },
  { header: 'SITE', cell: (item) => item.site },
  { header: 'REGION', cell: (item) => item.region },
  { header: 'TYPE', cell: (item) => item.instanceType },
  { header: 'MARKET', cell: (item) => item.market },
  { header: 'VCPUS', align: 'right', cell: (item) => number(item.vcpus) },
  { header: 'MEMORY', align: 'right', cell: (item) => gib(item.memoryGiB) },
  { header: 'PRICE/H', align: 'right', cell: (item) => pricePerHour(item.pricePerHour, item.currency) },
  { header: 'PRICE/MONTH', align: 'right', cell: (item) => pricePerMonth(item.pricePerMonth, item.currency) },
  { header: 'ZONE', wide: true, cell: (item) => item.zone },
  { header: 'HOST', wide: true, cell: (item) => item.host },
  { header: 'ARCH', wide: true, cell: (item) => item.architecture },
  {
    header: 'GPU',
    wide: true,
    cell: (item) => (item.gpuCount ? `${number(item.gpuCount)} ${item.gpuName ?? ''}`.trim() : ''),
  },
  {
    header: 'BURSTABLE',
    wide: true,
    cell: (item) => (item.burstable === undefined ? '' : item.burstable ? 'yes' : 'no'),
  },
  { header: 'JURISDICTION', wide: true, cell: (item) => item.jurisdiction },
];

export const image: Column<Schemas['Image']>[] = [
  nameColumn,
  { header: 'USER', cell: (item) => item.user },
  { header: 'MIN DISK', align: 'right', cell: (item) => gib(item.minDiskGiB) },
  { header: 'ARCHITECTURES', cell: (item) => item.architectures?.join(',') },
  { header: 'AWS', wide: true, cell: (item) => item.aws?.nameFilter },
  { header: 'AZURE', wide: true, cell: (item) => item.azure?.sku },
  { header: 'GCP', wide: true, cell: (item) => item.gcp?.family },
  {
    header: 'ONPREM',
    cell: (item) => (item.onprem?.builtin ? `builtin ${item.onprem.builtin}` : item.onprem?.url),
  },
  ageColumn,
  idColumn,
];

export const sshKey: Column<Schemas['SshKey']>[] = [
  nameColumn,
  { header: 'TYPE', cell: (item) => item.publicKey.split(' ')[0] },
  { header: 'FINGERPRINT', cell: (item) => item.fingerprint },
  ageColumn,
  { header: 'PROJECT', wide: true, cell: (item) => item.project },
  labelsColumn,
  idColumn,
];

export const instance: Column<Schemas['Instance']>[] = [
  nameColumn,
  { header: 'STATE', state: true, cell: (item) => item.status.state },
  { header: 'SITE', cell: (item) => item.status.site },
  { header: 'REGION', cell: (item) => item.status.region },
  { header: 'TYPE', cell: (item) => item.status.instanceType },
  {
    header: 'PRICE/H',
    align: 'right',
    cell: (item) => pricePerHour(item.status.pricePerHour, item.status.currency),
  },
  { header: 'ADDRESS', cell: (item) => mainAddress(item.status) },
  ageColumn,
  { header: 'PROVIDER', wide: true, cell: (item) => item.status.provider },
  { header: 'ZONE', wide: true, cell: (item) => item.status.zone },
  { header: 'HOST', wide: true, cell: (item) => item.status.host },
  {
    header: 'VCPUS',
    wide: true,
    align: 'right',
    cell: (item) => number(item.status.vcpus ?? item.spec.vcpus),
  },
  {
    header: 'MEMORY',
    wide: true,
    align: 'right',
    cell: (item) => gib(item.status.memoryGiB ?? item.spec.memoryGiB),
  },
  { header: 'IMAGE', wide: true, cell: (item) => item.spec.image },
  { header: 'MARKET', wide: true, cell: (item) => item.status.market },
  {
    header: 'PRICE/MONTH',
    wide: true,
    align: 'right',
    cell: (item) => pricePerMonth(item.status.pricePerMonth, item.status.currency),
  },
  // What it waits for now, else what was last put right.
  {
    header: 'MESSAGE',
    wide: true,
    cell: ({ status }) => status.message || status.lastRepair?.message,
  },
  labelsColumn,
  idColumn,
];

/** `instance/first` of what an operation, event or decision is about. */
export function subject(resource: Schemas['ResourceRef'] | null | undefined): string | undefined {
  return resource ? `${resource.kind.toLowerCase()}/${resource.name}` : undefined;
}

export const operation: Column<Operation>[] = [
  { header: 'ID', cell: (item) => item.id },
  { header: 'VERB', cell: (item) => item.verb },
  { header: 'RESOURCE', cell: (item) => subject(item.resource) },
  { header: 'STATE', state: true, cell: (item) => item.state },
  {
    header: 'TOOK',
    align: 'right',
    cell: (item, now) =>
      item.startedAt ? age(item.startedAt, item.finishedAt ? Date.parse(item.finishedAt) : now) : undefined,
  },
  ageColumn,
  { header: 'MESSAGE', cell: (item) => item.error?.detail ?? item.error?.title ?? item.message },
  { header: 'PROJECT', wide: true, cell: (item) => item.project },
  { header: 'REQUESTED BY', wide: true, cell: (item) => item.requestedBy },
];

export const policy: Column<Schemas['Policy']>[] = [
  nameColumn,
  { header: 'SCOPE', cell: (item) => item.scope },
  { header: 'MODE', cell: (item) => item.mode },
  { header: 'RULES', cell: (item) => item.rules?.join(',') },
  { header: 'VERSION', cell: (item) => item.version.slice(0, 19) },
  ageColumn,
  idColumn,
];

export const violation: Column<Schemas['Violation']>[] = [
  { header: 'ID', cell: (item) => item.id },
  { header: 'RESOURCE', cell: (item) => subject(item.resource) },
  { header: 'RULE', cell: (item) => `${item.policy}/${item.rule}` },
  { header: 'STATE', state: true, cell: (item) => item.state },
  { header: 'MODE', cell: (item) => item.mode },
  {
    header: 'ACTION',
    cell: (item) =>
      item.actionState === 'None' ? item.action : `${item.action}: ${item.actionState.toLowerCase()}`,
  },
  { header: 'SINCE', cell: (item, now) => age(item.firstSeenAt, now) },
  { header: 'MESSAGE', cell: (item) => item.message },
  { header: 'PROJECT', wide: true, cell: (item) => item.project },
  { header: 'OWNER', wide: true, cell: (item) => item.owner },
  { header: 'LINE', wide: true, align: 'right', cell: (item) => number(item.line) },
  { header: 'VERSION', wide: true, cell: (item) => item.policyVersion.slice(0, 19) },
];

export const approval: Column<Schemas['Approval']>[] = [
  { header: 'ID', cell: (item) => item.id },
  { header: 'RESOURCE', cell: (item) => subject(item.resource) },
  { header: 'RULE', cell: (item) => `${item.policy}/${item.rule}` },
  { header: 'STATE', state: true, cell: (item) => item.state },
  { header: 'BY', cell: (item) => item.decidedBy ?? item.by.join(' or ') },
  { header: 'REQUESTED-BY', cell: (item) => item.requestedBy.join(', ') },
  {
    header: 'PRICE/H',
    align: 'right',
    cell: (item) => pricePerHour(item.offer.pricePerHour, item.offer.currency),
  },
  { header: 'AGE', cell: (item, now) => age(item.requestedAt, now) },
  { header: 'EXPIRES', cell: (item) => item.expiresAt },
  { header: 'PROJECT', wide: true, cell: (item) => item.project },
  { header: 'REASON', wide: true, cell: (item) => item.reason ?? item.message ?? '' },
];

export const decision: Column<Schemas['Decision']>[] = [
  { header: 'ID', cell: (item) => item.id },
  { header: 'RESOURCE', cell: (item) => subject(item.resource) },
  { header: 'OUTCOME', state: true, cell: (item) => item.outcome },
  { header: 'PROVIDER', cell: (item) => item.winner?.provider },
  { header: 'REGION', cell: (item) => item.winner?.region },
  { header: 'TYPE', cell: (item) => item.winner?.instanceType },
  {
    header: 'PRICE/H',
    align: 'right',
    cell: (item) => pricePerHour(item.winner?.pricePerHour, item.winner?.currency),
  },
  {
    header: 'COMPLIANT',
    align: 'right',
    cell: (item) => `${count(item.compliant)}/${count(item.considered)}`,
  },
  ageColumn,
  { header: 'CATALOGUE', wide: true, cell: (item) => item.catalogue.version },
  { header: 'METHOD', wide: true, cell: (item) => item.certificate.method },
];

export const event: Column<Schemas['Event']>[] = [
  { header: 'TIME', cell: (item) => item.time.slice(0, 19).replace('T', ' ') },
  { header: 'TYPE', cell: (item) => item.type },
  { header: 'RESOURCE', cell: (item) => subject(item.resource) },
  { header: 'MESSAGE', cell: (item) => item.message },
  { header: 'ACTOR', wide: true, cell: (item) => item.actor },
  { header: 'PROJECT', wide: true, cell: (item) => item.project },
  { header: 'REVISION', wide: true, cell: (item) => item.revision },
];
