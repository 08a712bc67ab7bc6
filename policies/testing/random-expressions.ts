import type { OfferFacts } from '../place/offers.ts';
import { compareOffers, placedOffer } from '../place/offers.ts';
import { RandomCases } from './random-cases.ts';

/** Random well-typed expressions of every kind the language has, and offers that lack what an offer can lack. */
export class RandomExpressions extends RandomCases {
  offers(n: number): OfferFacts[] {
    const maybe = <T>(p: number, make: () => T): T | null => (this.chance(p) ? make() : null);
    return this.rows(n)
      .map((row) => ({
        ...row,
        site: maybe(0.7, () => 'site-1'),
        host: maybe(0.3, () => this.pick(['h1', 'ü-host'])),
        family: row.instanceType.split('.')[0]!,
        jurisdiction: maybe(0.8, () => this.pick(['EU', 'US', 'CH'])),
        certifications: maybe(0.8, () => ['iso27001', 'soc2', 'c5'].filter(() => this.chance(0.5))),
        accel: this.pick(['', 'kvm', 'tcg']),
        labels: (this.chance(0.6) ? { tier: this.pick(['gold', 'tin']), rack: '7' } : {}) as Record<
          string,
          string
        >,
        carbon: maybe(0.7, () => this.pick([0, 33.5, 400])),
        networkGbps: maybe(0.7, () => this.pick([1, 12.5])),
        localDiskGiB: maybe(0.7, () => this.pick([0, 118])),
        gpuMemoryGiB: maybe(0.3, () => this.pick([16, 80])),
        cpuVendor: maybe(0.6, () => this.pick(['intel', 'amd', 'arm'])),
        interruptionRate: maybe(0.5, () => this.pick([0, 0.05, 0.2])),
      }))
      .sort((a, b) => compareOffers(placedOffer(a), placedOffer(b)));
  }

  override comparison(): string {
    if (this.chance(0.5)) return super.comparison();
    const op = (): string => this.pick(['<', '<=', '>', '>=', '==', '!=']);
    const macro = (): string => this.pick(['all', 'exists', 'exists_one']);
    return this.pick([
      () => `${this.list()}.${macro()}(e, ${this.element()})`,
      () => `${this.list()}.filter(e, ${this.element()}).size() ${op()} ${this.int()}`,
      () => `${this.list()}.map(e, e + ${this.text()}).exists(f, f.contains(${this.text()}))`,
      () => `${this.text()} in ${this.list()}`,
      () => `${this.list()}[${this.int()}] == ${this.text()}`,
      () => `${this.list()} == ${this.list()}`,
      () => `${this.text()} in ${this.map()}`,
      () => `${this.map()}[${this.text()}] ${this.pick(['==', '!='])} ${this.text()}`,
      () => `${this.map()}.${macro()}(k, ${this.map()}[k] == ${this.text()})`,
      () => `size(${this.map()}) ${op()} ${this.int()}`,
      () => `[${this.int()}, ${this.int()}].${macro()}(n, 10 / n ${op()} ${this.int()})`,
      () => `[1, 2, 3].${macro()}(n, n ${op()} offer.vcpus && [4, 5].${macro()}(m, m % n == 0))`,
      () => `${this.text()} + ${this.text()} ${op()} ${this.text()}`,
      () => `string(${this.int()}) == ${this.text()}`,
      () => `size(${this.text()}) ${op()} ${this.int()}`,
      () => `int(${this.text()}) ${op()} ${this.int()}`,
      () => `has(${this.pick(NULLABLE)}) ${this.pick(['&&', '||', '=='])} (${super.comparison()})`,
      () => `(${this.comparison()} ? ${this.double()} : ${this.double()}) ${op()} ${this.double()}`,
      () => `${this.double()} ${this.pick(['<', '<=', '>', '>='])} ${this.int()}`,
      () => `double(${this.int()}) ${op()} ${this.double()}`,
      () => `${this.int()} / ${this.int()} ${op()} ${this.int()} % ${this.int()}`,
      () => `-(${this.int()}) ${op()} ${this.int()} - ${this.int()}`,
      () => `${this.double()} * ${this.double()} ${op()} ${this.double()} / ${this.double()}`,
      () => `${this.text()}.matches(${this.pick(['"^eu-"', '"[0-9]+$"', '"(a|b)"', '""'])})`,
      () => `${this.text()}.size() ${op()} ${this.int()}`,
      () =>
        `${this.double()} in [${this.double()}, 0.05, ${this.pick(['offer.carbon', 'offer.memoryGiB', '0.0 / 0.0'])}]`,
    ])();
  }

  /** A condition on an element called `e`. */
  private element(): string {
    return this.pick([
      () => `e == ${this.text()}`,
      () => `e.startsWith(${this.text()})`,
      () => `size(e) > ${this.int()}`,
      () => `e != "soc2" || ${super.comparison()}`,
      () => `offer.vcpus / size(e) > 0`,
      () => `has(offer.zone) && e < offer.zone`,
    ])();
  }

  private list(): string {
    return this.pick([
      'offer.certifications',
      'request.regions',
      'request.providers',
      '["EU", offer.region]',
      '[offer.zone, "b"]',
      '(offer.certifications + ["c5"])',
      '(offer.burstable ? offer.certifications : request.providers)',
    ]);
  }

  private map(): string {
    return this.pick(['offer.labels', 'request.labels', '{"tier": offer.family, "env": "prod"}']);
  }
}

const NULLABLE = [
  'offer.zone',
  'offer.jurisdiction',
  'offer.certifications',
  'offer.carbon',
  'offer.networkGbps',
  'offer.localDiskGiB',
  'offer.gpuMemoryGiB',
  'offer.interruptionRate',
  'offer.cpuVendor',
  'offer.labels.tier',
  'request.labels.env',
];
