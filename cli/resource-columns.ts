/** The columns of the tables of volumes, snapshots, networks, firewalls, addresses and images of one's own. */
import type { Schemas } from '@landfall/model';
import { gib, number } from '@landfall/model/quantities.ts';
import { ageColumn, idColumn, labelsColumn, nameColumn } from './kind-columns.ts';
import type { Column } from './output/table.ts';

type Placed = { status: Schemas['ResourceStatus'] };

const stateColumn: Column<Placed> = { header: 'STATE', state: true, cell: ({ status }) => status.state };
const placeColumns: Column<Placed>[] = [
  { header: 'SITE', cell: ({ status }) => status.site },
  { header: 'REGION', cell: ({ status }) => status.region },
];
const lastColumns: Column<Placed & { createdAt?: string; labels?: Record<string, string>; id?: string }>[] = [
  ageColumn,
  { header: 'PROVIDER', wide: true, cell: ({ status }) => status.provider },
  { header: 'ZONE', wide: true, cell: ({ status }) => status.zone },
  { header: 'HOST', wide: true, cell: ({ status }) => status.host },
  { header: 'REFERENCE', wide: true, cell: ({ status }) => status.externalReference },
  { header: 'MESSAGE', wide: true, cell: ({ status }) => status.message },
  labelsColumn,
  idColumn,
];

const volume: Column<Schemas['Volume']>[] = [
  nameColumn,
  stateColumn,
  ...placeColumns,
  { header: 'SIZE', align: 'right', cell: ({ spec, status }) => gib(status.sizeGiB ?? spec.sizeGiB) },
  { header: 'TYPE', cell: ({ spec }) => spec.type },
  { header: 'ATTACHED TO', cell: ({ spec }) => spec.attachedTo },
  ...lastColumns,
];

const snapshot: Column<Schemas['Snapshot']>[] = [
  nameColumn,
  stateColumn,
  ...placeColumns,
  { header: 'SIZE', align: 'right', cell: ({ status }) => gib(status.sizeGiB) },
  { header: 'VOLUME', cell: ({ spec }) => spec.volume },
  ...lastColumns,
];

const network: Column<Schemas['Network']>[] = [
  nameColumn,
  stateColumn,
  ...placeColumns,
  { header: 'CIDR', cell: ({ spec }) => spec.cidr },
  { header: 'SUBNETS', align: 'right', cell: ({ spec }) => number(spec.subnets?.length) },
  ...lastColumns,
];

const firewall: Column<Schemas['Firewall']>[] = [
  nameColumn,
  stateColumn,
  ...placeColumns,
  { header: 'NETWORK', cell: ({ spec }) => spec.network },
  { header: 'APPLIES TO', cell: ({ spec }) => appliesTo(spec) },
  { header: 'RULES', align: 'right', cell: ({ spec }) => number(spec.rules.length) },
  ...lastColumns,
];

const address: Column<Schemas['Address']>[] = [
  nameColumn,
  stateColumn,
  ...placeColumns,
  { header: 'ADDRESS', cell: ({ status }) => status.address },
  { header: 'ATTACHED TO', cell: ({ spec }) => spec.attachedTo },
  ...lastColumns,
];

const customImage: Column<Schemas['CustomImage']>[] = [
  nameColumn,
  stateColumn,
  ...placeColumns,
  { header: 'FROM', cell: ({ spec: { from } }) => source(from) },
  { header: 'ARCH', cell: ({ spec }) => spec.architecture },
  ...lastColumns,
];

function appliesTo({ appliesTo }: Schemas['FirewallSpec']): string {
  const labels = Object.entries(appliesTo?.labels ?? {});
  return labels.length === 0 ? 'all' : labels.map(([key, value]) => `${key}=${value}`).join(',');
}

function source(from: Schemas['CustomImageSpec']['from']): string {
  if (!from) return '';
  if (from.instance) return `instance/${from.instance}`;
  return from.snapshot ? `snapshot/${from.snapshot}` : (from.url?.url ?? '');
}

/** By kind. */
export const resourceColumns = {
  Volume: volume,
  Snapshot: snapshot,
  Network: network,
  Firewall: firewall,
  Address: address,
  CustomImage: customImage,
};
