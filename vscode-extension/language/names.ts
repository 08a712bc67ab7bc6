/** Names that exist: of the estate when the client is connected, of the shipped catalogue else. */
import { type Catalogue, loadSnapshot, type OFFER_ATTRIBUTES } from '@landfall/policies';
import { jurisdictionOf } from '@landfall/policies/catalogue/jurisdictions.ts';
import { CLOSED } from '@landfall/policies/check/attributes.ts';
import type { EstateNames } from './protocol.ts';

const PROVIDERS = ['aws', 'azure', 'gcp', 'onprem'];

type Lists = Omit<EstateNames, 'connected' | 'labels' | 'changes'>;

/** Fields of resource files and tests, and attributes, by what they name. */
const MEANT: Record<string, keyof Lists | 'providers' | 'architectures' | 'families' | 'jurisdictions'> = {
  region: 'regions',
  regions: 'regions',
  zone: 'zones',
  zones: 'zones',
  site: 'sites',
  sites: 'sites',
  host: 'hosts',
  hosts: 'hosts',
  provider: 'providers',
  providers: 'providers',
  instanceType: 'instanceTypes',
  family: 'families',
  architecture: 'architectures',
  gpuName: 'gpuNames',
  image: 'images',
  project: 'projects',
  organization: 'organizations',
  network: 'networks',
  sshKeys: 'sshKeys',
  jurisdiction: 'jurisdictions',
};

/** What the shipped catalogue has, by its column. */
const SHIPPED: Partial<Record<keyof Lists, 'region' | 'zone' | 'instanceType' | 'gpuName'>> = {
  regions: 'region',
  zones: 'zone',
  instanceTypes: 'instanceType',
  gpuNames: 'gpuName',
};

/** Every image a new Landfall has; a broker tells its own. */
const FIRST_IMAGES = ['debian-12'];

export class Names {
  #estate: EstateNames = { connected: false };
  #jurisdictions: string[] | undefined;

  set estate(names: EstateNames) {
    this.#estate = names;
  }

  get connected(): boolean {
    return this.#estate.connected;
  }

  /** The values that an attribute or a field of this name may have, as far as they are known. */
  of(name: string, root?: 'request' | 'offer' | 'resource'): readonly string[] {
    const closed = root === undefined ? undefined : CLOSED[`${root}.${name}`];
    if (closed !== undefined) return closed.filter((value) => value !== '');
    const meant = Object.hasOwn(MEANT, name) ? MEANT[name]! : undefined;
    if (meant === undefined) return [];
    if (meant === 'providers') return PROVIDERS;
    if (meant === 'architectures') return ['x86_64', 'arm64'];
    if (meant === 'families') return column(loadSnapshot(), 'family');
    if (meant === 'jurisdictions') return this.#knownJurisdictions();
    const own = this.#estate[meant] ?? [];
    const shipped = Object.hasOwn(SHIPPED, meant) ? SHIPPED[meant] : undefined;
    if (shipped !== undefined) return [...new Set([...own, ...column(loadSnapshot(), shipped)])];
    return meant === 'images' && own.length === 0 ? FIRST_IMAGES : own;
  }

  /** Labels in use at the broker. */
  get labels(): Readonly<Record<string, string[]>> {
    return this.#estate.labels ?? {};
  }

  /** What is known of a value, such as the price from which an instance type is to be had. */
  describe(name: string, value: string): string | undefined {
    if (name === 'instanceType') return sizeOf(value);
    if (name === 'region' || name === 'regions') return placeOf(value);
    return undefined;
  }

  #knownJurisdictions(): readonly string[] {
    this.#jurisdictions ??= [
      ...new Set(regions().map(([provider, region]) => jurisdictionOf(provider, region))),
    ]
      .filter((jurisdiction) => jurisdiction !== null)
      .sort();
    return this.#jurisdictions;
  }
}

function column(
  catalogue: Catalogue,
  name: keyof Catalogue & keyof typeof OFFER_ATTRIBUTES,
): readonly string[] {
  const { values } = catalogue[name] as { values: string[] };
  return values.filter((value) => value !== '');
}

let known: [string, string][] | undefined;

/** Every region of the catalogue with its provider. */
function regions(): [string, string][] {
  if (known === undefined) {
    const { provider, region, length } = loadSnapshot();
    const pairs = new Set<number>();
    for (let i = 0; i < length; i++) pairs.add(provider.codes[i]! * region.values.length + region.codes[i]!);
    known = [...pairs].map((pair) => [
      provider.values[Math.floor(pair / region.values.length)]!,
      region.values[pair % region.values.length]!,
    ]);
  }
  return known;
}

function placeOf(value: string): string | undefined {
  const found = regions().find(([, region]) => region === value);
  if (found === undefined) return undefined;
  const jurisdiction = jurisdictionOf(found[0], value);
  return jurisdiction === null ? found[0] : `${found[0]} · ${jurisdiction}`;
}

function sizeOf(value: string): string | undefined {
  const catalogue = loadSnapshot();
  const code = catalogue.instanceType.values.indexOf(value);
  if (code < 0) return undefined;
  // Sorted by price: the first is the cheapest.
  const row = catalogue.row(catalogue.instanceType.codes.indexOf(code));
  const gpu = row.gpuName === null ? '' : ` · ${row.gpuCount} × ${row.gpuName}`;
  return `${row.provider} · ${row.vcpus} vCPUs · ${row.memoryGiB} GiB · ${row.architecture}${gpu} · from $${row.pricePerHour}/h in ${row.region}`;
}
