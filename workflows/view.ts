import type { EstateMachine, Offer } from '@landfall/model';
import {
  type Catalogue,
  type CompiledPolicies,
  type SetAside,
  type SiteView,
  takesPlaceOf,
  withMachine,
} from '@landfall/policies';
import {
  activeSetAsides,
  type CountedEstate,
  haveOwnAntiAffinity,
  type InstanceRow,
  type LedgerHost,
  ledgerHosts,
  type Queryable,
  type ReadOn,
  type Size,
} from '@landfall/store';
import { catalogueInForce } from './catalogue.ts';
import {
  type ImageReach,
  imageReach,
  policiesInForce,
  readSites,
  type SiteRow,
  sitesWithHosts,
} from './place-input.ts';

/** Where the machines are read. */
export interface Estates {
  read(db: Queryable, organization: string): Promise<ReadOn>;
  /** It also gives what the transaction itself has placed. */
  readonly seesOwn?: true;
}

/**
 * What placements read beside their requests. Each part is read once, when it is first needed, and kept up with what is
 * placed on it, so that many placements in one transaction share it. What others do meanwhile shows as a lost claim.
 */
export class View {
  readonly #db: Queryable;
  readonly #organization: string;
  readonly #estates: Estates;
  readonly #exceptResource: string | null;
  readonly #images = new Map<string, Promise<ImageReach>>();
  #hosts: Promise<LedgerHost[]> | undefined;
  #sites: Promise<SiteRow[]> | undefined;
  #policies: Promise<CompiledPolicies> | undefined;
  #setAside: Promise<SetAside[]> | undefined;
  #catalogue: Promise<Catalogue> | undefined;
  #estate: Promise<CountedEstate> | undefined;
  #ownAntiAffinity: Promise<boolean> | undefined;
  /** Placed in this transaction. */
  #taken: EstateMachine[] = [];

  /** `exceptResource`: what it has claimed counts as free (it is being resized). */
  constructor(db: Queryable, organization: string, estates: Estates, exceptResource: string | null = null) {
    this.#db = db;
    this.#organization = organization;
    this.#estates = estates;
    this.#exceptResource = exceptResource;
  }

  hosts(): Promise<LedgerHost[]> {
    this.#hosts ??= ledgerHosts(this.#db, this.#exceptResource);
    return this.#hosts;
  }

  /** The sites with these hosts. */
  async sites(hosts: readonly LedgerHost[]): Promise<SiteView[]> {
    this.#sites ??= readSites(this.#db, this.#organization);
    return sitesWithHosts(await this.#sites, hosts);
  }

  /** Where the image is to be had. */
  image(name: string): Promise<ImageReach> {
    let found = this.#images.get(name);
    if (!found) {
      found = imageReach(this.#db, name);
      this.#images.set(name, found);
    }
    return found;
  }

  /** Throws UnreadablePolicy. */
  policies(): Promise<CompiledPolicies> {
    this.#policies ??= policiesInForce(this.#db, this.#organization);
    return this.#policies;
  }

  catalogue(): Promise<Catalogue> {
    this.#catalogue ??= catalogueInForce(this.#db, this.#organization);
    return this.#catalogue;
  }

  setAside(): Promise<SetAside[]> {
    this.#setAside ??= activeSetAsides(this.#db).then((rows) =>
      rows.map(({ site, region, zone, host, instance_type, market, reason }) => ({
        site,
        region,
        zone,
        host,
        instanceType: instance_type,
        market,
        reason,
      })),
    );
    return this.#setAside;
  }

  /** Whether machines may have rules of their own about others. */
  ownAntiAffinity(): Promise<boolean> {
    this.#ownAntiAffinity ??= haveOwnAntiAffinity(this.#db, this.#organization);
    return this.#ownAntiAffinity;
  }

  /** The machines that exist, and since when others' additions to their groups have not been seen. */
  estate(): Promise<CountedEstate> {
    this.#estate ??= this.#estates.read(this.#db, this.#organization).then(({ counted, machines, since }) => {
      if (since) takesPlaceOf(machines, since.older, since.gone, since.come);
      return { counted, machines: this.#taken.reduce(withMachine, machines) };
    });
    return this.#estate;
  }

  /** Notes a machine that was placed and claimed in this transaction. */
  async took(
    row: InstanceRow,
    winner: Offer & { site: string },
    size: Size,
    host: LedgerHost | null,
  ): Promise<void> {
    if (host) {
      const hosts = await this.hosts();
      const { vcpus, memoryGiB, diskGiB, gpus } = host.free;
      const free = {
        vcpus: vcpus - size.vcpus,
        memoryGiB: memoryGiB - size.memoryGiB,
        diskGiB: diskGiB - size.diskGiB,
        gpus: gpus - size.gpus,
      };
      const after = { ...host, free, generation: host.generation + 1 };
      this.#hosts = Promise.resolve(
        hosts.map((one) => (one.site === host.site && one.name === host.name ? after : one)),
      );
    }
    const machine: EstateMachine = {
      id: row.id,
      name: row.name,
      project: row.project,
      organization: this.#organization,
      labels: row.labels,
      state: row.state,
      site: winner.site,
      provider: winner.provider,
      region: winner.region,
      zone: winner.zone,
      host: winner.host,
      instanceType: winner.instanceType,
      market: winner.market,
      architecture: winner.architecture,
      gpuName: winner.gpuName ?? null,
      gpuCount: winner.gpuCount,
      vcpus: winner.vcpus,
      memoryGiB: winner.memoryGiB,
      diskGiB: size.diskGiB,
      pricePerHour: winner.pricePerHour,
      publicAddress: row.spec.publicAddress ?? false,
      createdAt: new Date().toISOString(),
      rules: row.spec.placement?.rules ?? null,
    };
    if (!this.#estates.seesOwn) this.#taken.push(machine);
    if (!this.#estate) return;
    const { counted, machines } = await this.#estate;
    this.#estate = Promise.resolve({ counted, machines: withMachine(machines, machine) });
  }
}
