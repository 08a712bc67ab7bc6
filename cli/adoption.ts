/** What the command line and the editor say and ask of adopting and of letting go. */
import type { Instance, LandfallClient, Operation, Schemas } from '@landfall/model';
import { pricePerMonth } from '@landfall/model/quantities.ts';
import { body, idempotencyKey } from './connection/broker.ts';
import { printable } from './output/colours.ts';
import { resourcePaths } from './resource-kinds.ts';

/** One that is to be adopted. */
export interface Candidate {
  item: Schemas['Unmanaged'];
  /** In the project, from now on. */
  name: string;
  price?: Pick<Schemas['Offer'], 'pricePerMonth' | 'currency'>;
}

/** A name for each of a kind: its own where that can be one and is free, else with the end of the reference behind it. */
export function candidatesOf(
  items: readonly Schemas['Unmanaged'][],
  isTaken: (name: string) => boolean,
): Candidate[] {
  const given = new Set<string>();
  return items.map((item) => {
    const own = nameFrom(item.name ?? '') || item.kind.toLowerCase();
    const end = nameFrom(`x-${item.externalReference}`).slice(2).slice(-8).replace(/^-+/, '');
    let name = own;
    for (let nth = 1; isTaken(name) || given.has(name); nth++)
      name = [own.slice(0, 48).replace(/-+$/, ''), end, ...(nth > 1 ? [nth] : [])].join('-');
    given.add(name);
    return { item, name };
  });
}

/** The letters, digits and hyphens of it, as the API takes them in a name; empty where there is no letter. */
function nameFrom(text: string): string {
  return text
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, '-')
    .replace(/^[^a-z]+/, '')
    .slice(0, 63)
    .replace(/-+$/, '');
}

/** What each costs by the catalogue, where that knows it; asked once for all of one type. */
export async function readPrices(client: LandfallClient, candidates: readonly Candidate[]): Promise<void> {
  const filterOf = ({ item: { site, region, instanceType, market = 'onDemand' } }: Candidate): string =>
    `site=${site} AND region=${region} AND instanceType=${instanceType} AND market=${market}`;
  const priced = candidates.filter(({ item }) => item.instanceType !== undefined && item.host === undefined);
  for (const [filter, alike] of Map.groupBy(priced, filterOf)) {
    const { items } = await body(client.GET('/v1/offers', { params: { query: { filter, pageSize: 1 } } }));
    const [offer] = items;
    if (offer) for (const each of alike) each.price = offer;
  }
}

/** `$12.00 a month` for each currency, and how many have no price. */
export function costWords(candidates: readonly Candidate[]): string[] {
  const sums = new Map<string, number>();
  let unpriced = 0;
  for (const { price } of candidates)
    if (price) sums.set(price.currency, (sums.get(price.currency) ?? 0) + price.pricePerMonth);
    else unpriced++;
  return [
    ...[...sums].map(([currency, sum]) => `${pricePerMonth(sum, currency)} a month`),
    ...(unpriced > 0 ? [`${unpriced} without a known price`] : []),
  ];
}

/** What Landfall can let go of. */
export type Released =
  | Instance
  | Schemas['Volume']
  | Schemas['Snapshot']
  | Schemas['Network']
  | Schemas['Address']
  | Schemas['CustomImage'];

export const releasable = ['Instance', 'Volume', 'Snapshot', 'CustomImage', 'Network', 'Address'] as const;

/** What goes on without Landfall, and what that means; a line each. */
export function whatStays(item: Released): string[] {
  const { externalReference = 'what it is', site, children = [], adopted } = item.status;
  const machine = item.kind === 'Instance' ? item : undefined;
  const price = machine && pricePerMonth(machine.status.pricePerMonth, machine.status.currency);
  return [
    `${printable(externalReference)} at site/${site} stays as it is${price ? `, for ${price} a month` : ''}, and is nobody's in Landfall.`,
    ...(children.length > 0
      ? [`It keeps ${children.map(printable).join(', ')}: from now on yours to remove.`]
      : []),
    ...('attachedTo' in item.spec ? [`It stays attached to instance/${item.spec.attachedTo}.`] : []),
    ...(machine?.spec.network !== undefined
      ? [`It stays in network/${machine.spec.network}, which cannot be deleted while it is there.`]
      : []),
    ...(machine && !adopted
      ? ['Landfall made it; adopted again, its image and keys are not known any more.']
      : []),
  ];
}

/** Asks to let go of it; by id, since a name may be another's by then. No operation where it is only tried. */
export function requestRelease(
  client: LandfallClient,
  { kind, id, project }: Pick<Released, 'kind' | 'id' | 'project'>,
  validateOnly = false,
): Promise<Operation | undefined> {
  const more = { header: idempotencyKey(), query: { validateOnly } };
  if (kind === 'Instance')
    return body(
      client.POST('/v1/projects/{project}/instances/{instance}/release', {
        params: { path: { project, instance: id }, ...more },
      }),
    );
  const path =
    `/v1/projects/{project}/${resourcePaths[kind]}/{resource}/release` as '/v1/projects/{project}/volumes/{resource}/release';
  return body(client.POST(path, { params: { path: { project, resource: id }, ...more } }));
}
