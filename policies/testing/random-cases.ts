import type { CatalogueRow } from '../catalogue/rows.ts';
import { type HostView, NEUTRAL_REQUEST, type PlacementRequest, type SiteView } from '../place/types.ts';

/** Numbers in [0, 1) that are the same in every run (mulberry32). */
export function seeded(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

/** Random inputs of the tests: small worlds in which ties, gaps and dead ends are common. */
export class RandomCases {
  readonly next: () => number;

  constructor(seed: number) {
    this.next = seeded(seed);
  }

  pick<T>(from: readonly T[]): T {
    return from[Math.floor(this.next() * from.length)]!;
  }

  chance(p: number): boolean {
    return this.next() < p;
  }

  rows(n: number): CatalogueRow[] {
    return Array.from({ length: n }, () => {
      const provider = this.pick(['aws', 'azure', 'gcp']);
      const region = this.pick(
        {
          aws: ['eu-central-1', 'us-east-1', 'moon-1'],
          azure: ['westeurope', 'uksouth'],
          gcp: ['europe-west3', 'us-east1'],
        }[provider]!,
      );
      const gpu = this.chance(0.2);
      return {
        provider,
        region,
        zone: this.chance(0.3) ? null : `${region}-${this.pick(['a', 'b'])}`,
        instanceType: `${this.pick(['m5', 't3', 'c7g', 'p4'])}.${this.pick(['large', 'xlarge', '2xlarge'])}`,
        market: this.pick(['onDemand', 'spot'] as const),
        vcpus: this.pick([1, 2, 4, 8]),
        memoryGiB: this.pick([0.5, 2, 4, 8, 16]),
        architecture: this.pick(['x86_64', 'arm64']),
        gpuName: gpu ? this.pick(['T4', 'A100']) : null,
        gpuCount: gpu ? this.pick([1, 4]) : 0,
        burstable: this.chance(0.3),
        pricePerHour: this.pick([0.01, 0.02, 0.05, 0.1, 0.25, 1]),
      };
    });
  }

  request(): PlacementRequest {
    const some = <T>(p: number, values: T[]): T[] =>
      this.chance(p) ? values.filter(() => this.chance(0.6)) : [];
    return {
      ...NEUTRAL_REQUEST,
      name: this.pick(['web', 'db', 'x']),
      project: this.pick(['shop', 'lab']),
      labels: this.chance(0.5) ? { env: this.pick(['prod', 'test']) } : {},
      kind: 'Instance',
      dataClass: this.pick(['', 'restricted', 'public']),
      vcpus: this.pick([1, 1, 2, 4, 8, 16]),
      memoryGiB: this.pick([0.5, 1, 4, 8, 16]),
      diskGiB: this.pick([0, 10, 50]),
      architecture: this.pick(['any', 'any', 'x86_64', 'arm64'] as const),
      gpuCount: this.chance(0.15) ? this.pick([1, 4]) : 0,
      gpuName: this.chance(0.1) ? this.pick(['t4', 'A100']) : '',
      market: this.pick(['any', 'any', 'onDemand', 'spot'] as const),
      count: this.pick([1, 3, 60]),
      providers: some(0.2, ['aws', 'azure', 'gcp', 'onprem']),
      sites: some(0.1, ['aws-1', 'aws-2', 'cellar']),
      regions: some(0.2, ['eu-central-1', 'us-east-1', 'westeurope', 'europe-west3']),
      maxPricePerHour: this.chance(0.2) ? this.pick([0.01, 0.05, 0.25]) : 0,
    };
  }

  sites(): SiteView[] {
    const cloud = (name: string, provider: string): SiteView => ({
      name,
      provider,
      regions: this.chance(0.3) ? ['eu-central-1', 'westeurope', 'europe-west3'] : [],
      certifications: ['iso27001', 'soc2'].filter(() => this.chance(0.5)),
      labels: this.chance(0.5) ? { tier: this.pick(['gold', 'lead']) } : {},
      hosts: [],
    });
    const size = (): { vcpus: number; memoryGiB: number; diskGiB: number } => ({
      vcpus: this.pick([2, 8, 32]),
      memoryGiB: this.pick([4, 16, 64]),
      diskGiB: this.pick([20, 100]),
    });
    const cellar: SiteView = {
      ...cloud('cellar', 'onprem'),
      ...(this.chance(0.7) ? { jurisdiction: 'EU' } : {}),
      ...(this.chance(0.8)
        ? { pricing: { vcpuHour: this.pick([0.005, 0.02]), gibHour: 0.002, currency: 'USD' } }
        : {}),
      hosts: ['h1', 'h2', 'h3'].map((name) => {
        const capacity = size();
        const free = this.chance(0.5) ? capacity : { vcpus: 1, memoryGiB: 2, diskGiB: 20 };
        return {
          name,
          zone: this.pick(['rack-1', 'rack-2']),
          region: 'cellar',
          architecture: 'x86_64',
          accel: this.pick(['kvm', 'tcg'] as const),
          free,
          capacity,
          ready: this.chance(0.8),
        };
      }),
    };
    return [
      cloud('aws-1', 'aws'),
      cloud('aws-2', 'aws'),
      cloud('azure-1', 'azure'),
      cloud('gcp-1', 'gcp'),
      cellar,
    ].filter(() => this.chance(0.75));
  }

  /** A host with all, some or none of its room free. */
  anotherRoom = (host: HostView): HostView => {
    const { capacity } = host;
    const free = this.pick([capacity, capacity, { vcpus: 1, memoryGiB: 2, diskGiB: 20 }]);
    return { ...host, free, ready: this.chance(0.8) };
  };

  /** A well-typed boolean expression over `request` and `offer`. */
  expression(depth: number): string {
    if (depth <= 0 || this.chance(0.15)) return this.comparison();
    const inner = (): string => this.expression(depth - 1);
    return this.pick([
      () => `${inner()} && ${inner()}`,
      () => `(${inner()} || ${inner()})`,
      () => `!(${inner()})`,
      () => `(${inner()} ? ${inner()} : ${inner()})`,
      () => `(${inner()}) == (${inner()})`,
      () => this.comparison(),
    ])();
  }

  comparison(): string {
    const op = (): string => this.pick(['<', '<=', '>', '>=', '==', '!=']);
    return this.pick([
      () => `${this.int()} ${op()} ${this.int()}`,
      () => `${this.double()} ${op()} ${this.double()}`,
      () => `${this.double()} ${this.pick(['<', '>='])} ${this.int()}`,
      () => `${this.text()} ${this.pick(['==', '!='])} ${this.text()}`,
      () =>
        `${this.text()} in ${this.pick(['request.regions', 'request.providers', '["EU", "UK"]', '["a", offer.region]'])}`,
      () =>
        `${this.text()}.${this.pick(['startsWith', 'endsWith', 'contains'])}(${this.pick(['"eu"', '"1"', '"t"', 'request.name'])})`,
      () =>
        `offer.certifications.${this.pick(['exists', 'all', 'exists_one'])}(c, c == ${this.pick(['"iso27001"', 'offer.zone', 'request.name'])})`,
      () => `size(offer.certifications) ${op()} ${this.pick(['0', '1', 'request.count'])}`,
      () =>
        `has(${this.pick(['offer.jurisdiction', 'offer.zone', 'request.labels.env', 'offer.labels.tier', 'offer.certifications'])})`,
      () => this.pick(['offer.burstable', 'request.publicAddress', 'true', 'false']),
      () => `${this.text()}.matches("^[a-e]")`,
    ])();
  }

  int(): string {
    return this.pick([
      'offer.vcpus',
      'offer.gpuCount',
      'request.vcpus',
      'request.count',
      '4',
      '-1',
      'offer.vcpus * 2',
      'offer.vcpus / request.gpuCount',
      'offer.vcpus % 3',
      'size(offer.region)',
      'offer.vcpus * 9223372036854775807',
      '9223372036854775807',
      'int(offer.memoryGiB)',
    ]);
  }

  double(): string {
    return this.pick([
      'offer.memoryGiB',
      'offer.pricePerHour',
      'offer.price',
      'request.memoryGiB',
      'request.maxPricePerHour',
      '0.05',
      'offer.price * 730.0',
      'double(offer.vcpus)',
      'offer.memoryGiB / double(offer.vcpus)',
      'offer.price / request.maxPricePerHour',
      '-offer.memoryGiB',
      '(offer.price + 1.0) - (offer.price - 0.5)',
      'double(request.count) / 0.0',
      'double(offer.region)',
      '0.0 / 0.0',
      'offer.carbon',
      'offer.networkGbps',
      'offer.localDiskGiB * 2.0',
      'offer.gpuMemoryGiB',
      'offer.interruptionRate',
    ]);
  }

  text(): string {
    return this.pick([
      'offer.provider',
      'offer.region',
      'offer.zone',
      'offer.jurisdiction',
      'offer.family',
      'offer.site',
      'offer.host',
      'offer.gpuName',
      'offer.accel',
      'offer.market',
      'request.name',
      'request.labels.env',
      'offer.labels.tier',
      '"EU"',
      '"eu-central-1"',
      'offer.instanceType',
      'request.kind',
      'request.dataClass',
      '(offer.burstable ? offer.family : offer.zone)',
      'offer.cpuVendor',
    ]);
  }
}
