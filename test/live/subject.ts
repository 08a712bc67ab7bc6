import type { InstanceWant, Kind, Want } from '@landfall/adapters';
import type { Conditions } from '@landfall/adapters/conformance/probe.ts';
import type { Subject } from '@landfall/adapters/conformance/subject.ts';
import type { Schemas } from '@landfall/model';

/** A real account to run the conformance suites in, and the run's own name in it. */
export interface LiveAccount {
  /** The account as a site names it: provider, regions (the first is used), endpoint, where its credentials are. */
  spec: Schemas['SiteSpec'];
  /** Absent: the provider's usual first one of the region. */
  zone?: string;
  /** The broker id that everything of the run is stamped with; small letters, digits and dashes, a letter first. */
  run: string;
}

/** What `run.ts` hands over, as JSON. */
export const suitesVariable = 'LANDFALL_LIVE';

export interface Handed {
  account: LiveAccount;
  ledger: string;
  /** Process id of `run.ts`. */
  watcher: number;
}

export interface LiveSubject extends Subject {
  /** What a resize changes. */
  resized: Pick<InstanceWant, 'instanceType' | 'vcpus' | 'memoryGiB'>;
  /**
   * Removes, as far as it can at the moment, what the suites planted as somebody else's and what the adapter keeps for all of a
   * broker's resources. @returns what was refused, for people.
   */
  uproot(): Promise<string[]>;
  /** The references of all that still exists of the run. */
  remains(): Promise<string[]>;
}

/** What a foreign object carries or is named by, so that the sweep finds it: its value is the run. */
export const runMark = 'conformance-run';

/** A simulator answers at once, and nothing in it lags: no patience is needed. */
export function isSimulator({ spec }: LiveAccount): boolean {
  const host = spec.endpoint && new URL(spec.endpoint).hostname;
  return host !== undefined && ['127.0.0.1', 'localhost', '[::1]'].includes(host);
}

/** How the adapter waits: as in production, but before a simulator. */
export const patienceOf = (account: LiveAccount) =>
  isSimulator(account) ? { pollMs: 50, visibilityGraceMs: 1500 } : {};

/** How long the suites wait. A cancelled call comes back within the longest request, 30 s. */
export function conditionsOf(account: LiveAccount): Partial<Conditions> {
  return isSimulator(account)
    ? { testMs: 120_000, setupMs: 120_000, cancelMs: 3_000 }
    : { testMs: 20 * 60_000, setupMs: 20 * 60_000, cancelMs: 35_000 };
}

/** Opens the account; the provider's SDK is loaded only now. */
export async function openLive(account: LiveAccount): Promise<LiveSubject> {
  switch (account.spec.provider) {
    case 'aws':
      return (await import('./aws.ts')).liveAws(account);
    case 'azure':
      return (await import('./azure.ts')).liveAzure(account);
    case 'gcp':
      return (await import('./gcp.ts')).liveGcp(account);
    default:
      throw new Error(`there is no live suite of ${account.spec.provider}: it needs no account`);
  }
}

/** What is alike at every real account: who asks, for what and where; `wantOf` is the provider's. */
export function askedBy(
  run: string,
  location: Want['location'],
  wantOf: (
    stamp: Want['stamp'],
    location: Want['location'],
    change?: Partial<InstanceWant>,
  ) => Want<'Instance'>,
): Pick<Subject, 'broker' | 'want' | 'target' | 'faults'> {
  const stampOf = (resource: string, attempt?: number) => ({
    broker: run,
    project: 'conformance',
    resource,
    attempt,
  });
  return {
    broker: run,
    want: (resource, attempt, change) => wantOf({ ...stampOf(resource), attempt }, location, change),
    target: (resource, attempt) => ({ kind: 'Instance', stamp: stampOf(resource, attempt), location }),
    faults: { set: () => ({ unsupported: 'a real cloud has no knobs' }), clear: () => {} },
  };
}

/** A stamp as the foreign objects carry it. */
export const foreignStamp = (resource: string, broker: string) => ({
  broker,
  project: 'theirs',
  resource,
  attempt: 1,
});

/** The kinds in the order in which they can go: each after what uses it. */
export const removalOrder: readonly Kind[] = [
  'Instance',
  'Image',
  'Snapshot',
  'Volume',
  'Address',
  'Firewall',
  'Network',
];
