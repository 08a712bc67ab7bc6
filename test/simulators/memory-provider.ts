import { randomUUID } from 'node:crypto';
import {
  type Adapter,
  type DiscoveryPage,
  type DiscoveryQuery,
  type InstanceDetails,
  imageOf,
  type Listed,
  type Location,
  type Observation,
  overAdopting,
  overKinds,
  type Present,
  ProviderError,
  type Stamp,
  type Target,
  type Unmanaged,
  type Want,
} from '@landfall/adapters';
import { MemoryResources, refuseStamped } from './memory-resources.ts';

/** A machine or a child as the simulated provider keeps it. */
interface Machine {
  ref: string;
  want: Want<'Instance'>;
  power: 'running' | 'stopped';
  children: string[];
  reboots: number;
}

/** What the next calls meet. Each counts down. */
export interface MemoryFaults {
  capacity: number;
  quota: number;
  unavailable: number;
  /** The create takes effect, its answer is lost. */
  responseLost: number;
  /** The create does not reach the provider, and the caller cannot know. */
  requestLost: number;
  /** The create fails after one child was made. */
  failChild: number;
  denied: number;
  /** An adoption takes effect, and is refused all the same, or not answered for. */
  stampedDenied: number;
  stampedUnavailable: number;
  /** A release is refused for good. */
  unreleasable: number;
}

/**
 * A simulated provider in memory: for tests of workflows, and as "an adapter that answers at once" in benchmarks. It honours
 * the contract (tokens, stamps, children), and counts what was ever created.
 */
export class MemoryProvider {
  readonly machines = new Map<string, Machine>();
  /** Children of creates that failed half-way, by stamp. */
  readonly strays = new Map<string, { ref: string; stamp: Stamp; location: Location }>();
  readonly faults: MemoryFaults = {
    capacity: 0,
    quota: 0,
    unavailable: 0,
    responseLost: 0,
    requestLost: 0,
    failChild: 0,
    denied: 0,
    stampedDenied: 0,
    stampedUnavailable: 0,
    unreleasable: 0,
  };
  /** What nobody of ours made, by reference; what is adopted moves to `machines` or `resources`. */
  readonly foreign = new Map<string, Unmanaged>();
  created = 0;
  /** Until when creates are refused as too many, and how many came all the same. */
  throttled = { untilMs: 0, refused: 0 };
  /** Everything that is no machine. */
  readonly resources = new MemoryResources(
    (fault) => this.take(fault),
    () =>
      new Set(
        [...this.machines.values()].flatMap(({ want: { spec } }) => [
          ...(spec.network ? [spec.network.ref] : []),
          ...(spec.firewalls ?? []),
        ]),
      ),
    this.foreign,
  );

  private take(fault: keyof MemoryFaults): boolean {
    if (this.faults[fault] <= 0) return false;
    this.faults[fault]--;
    return true;
  }

  /** With `host`, it lists what is on that host only. */
  adapter(host?: string): Adapter {
    return {
      describe: async () => ({
        provider: 'onprem',
        visibilityGraceMs: 0,
        capabilities: [],
        facts: { simulated: 'in memory' },
      }),
      offers: async function* () {},
      quota: async () => [],
      ...overKinds({
        Instance: {
          validate: async () => undefined,
          observe: async (target, want) => this.observe(target, want),
          ensure: async (want) => this.ensure(want),
          remove: async (target) => this.remove(target),
        },
        Volume: this.resources.adapter(),
        Snapshot: this.resources.adapter(),
        Image: this.resources.adapter(),
        Network: this.resources.adapter(),
        Firewall: this.resources.adapter(),
        Address: this.resources.adapter(),
      }),
      list: async (broker) => ({
        items: [...this.list(broker), ...this.resources.list(broker)].filter(
          (item) => host === undefined || item.location.host === host,
        ),
        complete: true,
      }),
      ...overAdopting({
        Instance: {
          discover: async (query) => this.discover(query, host),
          adopt: async (want) => this.adopt(want),
          release: async (target) => this.release(target),
        },
        ...this.resources.adopting((query) => this.discover(query, host)),
      }),
      console: async () => 'simulated console\n',
    };
  }

  private discover({ kind, ref }: DiscoveryQuery, host?: string): DiscoveryPage {
    const items = [...this.foreign.values()].filter(
      (item) =>
        item.kind === kind &&
        (ref ?? item.ref) === item.ref &&
        (host ?? item.location.host) === item.location.host,
    );
    return { items, complete: true };
  }

  private key(stamp: { resource: string; attempt?: number }): string {
    return `${stamp.resource}/${stamp.attempt}`;
  }

  private ensure(want: Want<'Instance'>): Present {
    const retryAfterMs = this.throttled.untilMs - Date.now();
    if (retryAfterMs > 0) {
      this.throttled.refused++;
      throw new ProviderError('Throttled', 'simulated: too many calls', { retryAfterMs });
    }
    if (this.take('unavailable')) throw new ProviderError('Unavailable', 'simulated: not answering');
    const key = this.key(want.stamp);
    let machine = this.machines.get(key);
    if (!machine) {
      imageOf(want);
      if (this.take('capacity'))
        throw new ProviderError('CapacityExhausted', 'simulated: no room', { providerCode: 'NoRoom' });
      if (this.take('quota'))
        throw new ProviderError('QuotaExceeded', 'simulated: quota', { providerCode: 'Quota' });
      if (this.take('denied'))
        throw new ProviderError('Denied', 'simulated: not allowed', { providerCode: 'NotAllowed' });
      if (this.take('requestLost')) throw new ProviderError('OutcomeUnknown', 'simulated: request lost');
      const disk = `disk-${randomUUID()}`;
      this.strays.set(disk, { ref: disk, stamp: want.stamp, location: want.location });
      if (this.take('failChild'))
        throw new ProviderError('CapacityExhausted', 'simulated: the second child failed', { made: [disk] });
      machine = { ref: `machine-${randomUUID()}`, want, power: 'running', children: [disk], reboots: 0 };
      this.machines.set(key, machine);
      this.created++;
      if (this.take('responseLost')) throw new ProviderError('OutcomeUnknown', 'simulated: response lost');
    }
    machine.want = want;
    machine.power = want.spec.power;
    machine.reboots = want.spec.reboots;
    return this.present(machine);
  }

  private adopt(want: Want<'Instance'>): Present {
    if (this.take('unavailable')) throw new ProviderError('Unavailable', 'simulated: not answering');
    if (this.take('denied'))
      throw new ProviderError('Denied', 'simulated: not allowed', { providerCode: 'NotAllowed' });
    if (this.take('requestLost')) throw new ProviderError('OutcomeUnknown', 'simulated: request lost');
    const key = this.key(want.stamp);
    const known = this.machines.get(key);
    if (known) {
      refuseStamped((fault) => this.take(fault));
      return this.present(known);
    }
    const ref = want.adopted?.ref ?? '';
    const found = this.foreign.get(ref);
    if (!found) {
      const theirs = [...this.machines.values()].some((machine) => machine.ref === ref);
      throw new ProviderError(theirs ? 'Conflict' : 'NotFound', `simulated: ${ref} cannot be had`);
    }
    if (found.refused) throw new ProviderError('Conflict', found.refused);
    this.foreign.delete(ref);
    const { vcpus = 0, memoryGiB = 0, instanceType = '' } = found;
    const power = found.power === 'stopped' ? 'stopped' : 'running';
    const spec = { ...want.spec, vcpus, memoryGiB, instanceType };
    const machine: Machine = { ref, want: { ...want, spec }, power, children: [], reboots: 0 };
    this.machines.set(key, machine);
    if (this.take('responseLost')) throw new ProviderError('OutcomeUnknown', 'simulated: response lost');
    refuseStamped((fault) => this.take(fault));
    return this.present(machine);
  }

  private present(machine: Machine, diff: string[] = []): Present {
    const { spec, stamp, location } = machine.want;
    const details: InstanceDetails = {
      power: machine.power,
      vcpus: spec.vcpus,
      memoryGiB: spec.memoryGiB,
      gpus: spec.gpu?.count,
      instanceType: spec.instanceType,
      addresses: [{ type: 'internal', address: '192.0.2.1' }],
      reboots: machine.reboots,
      children: machine.children,
    };
    return { presence: 'present', ref: machine.ref, stamp, location, state: 'ready', details, diff };
  }

  /** As the clouds' adapters do of a reference that leads to what does not carry the stamp. */
  private requireOurs({ ref = '' }: Target): void {
    if (this.foreign.has(ref))
      throw new ProviderError('Conflict', `simulated: ${ref} does not carry the stamp`, {
        providerCode: 'NotOurs',
      });
  }

  private observe(target: Target, want?: Want<'Instance'>): Observation {
    this.requireOurs(target);
    const machine = [...this.machines.values()].find(
      (candidate) =>
        candidate.want.stamp.resource === target.stamp.resource &&
        (target.stamp.attempt === undefined || candidate.want.stamp.attempt === target.stamp.attempt),
    );
    if (!machine) return { presence: 'absent' };
    return this.present(machine, want && want.spec.power !== machine.power ? ['power'] : []);
  }

  private remove(target: Target) {
    this.requireOurs(target);
    const mine = (stamp: Stamp) =>
      stamp.broker === target.stamp.broker &&
      stamp.resource === target.stamp.resource &&
      (target.stamp.attempt === undefined || stamp.attempt === target.stamp.attempt);
    for (const [key, machine] of this.machines) if (mine(machine.want.stamp)) this.machines.delete(key);
    for (const [ref, stray] of this.strays) if (mine(stray.stamp)) this.strays.delete(ref);
    return { done: true } as const;
  }

  /** What was ours is somebody's again. */
  private release(target: Target) {
    if (this.take('unreleasable')) throw new ProviderError('Invalid', 'simulated: it cannot do without us');
    if (this.take('unavailable')) throw new ProviderError('Unavailable', 'simulated: not answering');
    if (this.take('denied'))
      throw new ProviderError('Denied', 'simulated: not allowed', { providerCode: 'NotAllowed' });
    if (this.take('requestLost')) throw new ProviderError('OutcomeUnknown', 'simulated: request lost');
    for (const [key, machine] of this.machines) {
      const { stamp, location, spec } = machine.want;
      const { broker, resource, attempt } = target.stamp;
      if (stamp.broker !== broker || stamp.resource !== resource || stamp.attempt !== attempt) continue;
      for (const child of machine.children) this.strays.delete(child);
      this.machines.delete(key);
      const { vcpus, memoryGiB, instanceType } = spec;
      const size = { vcpus, memoryGiB, instanceType, power: machine.power };
      const common = { kind: 'Instance', ref: machine.ref, location, state: 'ready' } as const;
      this.foreign.set(machine.ref, { ...common, ...size, addresses: [], labels: {} });
    }
    if (this.take('responseLost')) throw new ProviderError('OutcomeUnknown', 'simulated: response lost');
    return { done: true } as const;
  }

  private list(broker: string): Listed[] {
    const machines = [...this.machines.values()].map(
      (machine): Listed => ({
        ref: machine.ref,
        kind: 'Instance',
        stamp: machine.want.stamp,
        location: machine.want.location,
        state: 'ready',
        providerKind: 'machine',
        child: false,
        power: machine.power,
      }),
    );
    const children = [...this.strays.values()].map(
      (stray): Listed => ({ ...stray, kind: 'Instance', state: 'ready', providerKind: 'disk', child: true }),
    );
    return [...machines, ...children].filter((item) => item.stamp.broker === broker);
  }
}
