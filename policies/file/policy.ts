import type { PlacementRequest } from '../place/types.ts';

/** How much a policy's verdict counts: it rejects, it is recorded as if it did, or it is only evaluated. */
export type Mode = 'enforce' | 'audit' | 'dryRun';

/** A message for people: a text as it is, or a CEL string expression over the request. */
export type Message = { kind: 'text'; text: string } | { kind: 'cel'; source: string };

/** A place that can fail, or be full, as a whole; wide to narrow. */
export type Domain = 'provider' | 'site' | 'region' | 'zone' | 'host';

/** What machines are counted by: an attribute of a machine, or one of its labels (`labels.team`). */
export type GroupKey =
  | 'organization'
  | 'project'
  | Domain
  | 'instanceType'
  | 'market'
  | 'architecture'
  | 'gpuName'
  | `labels.${string}`;

/** What a quota counts. */
export type Countable = 'instances' | 'vcpu' | 'memoryGiB' | 'gpu' | 'diskGiB';

/**
 * What meeting a preference is worth: a fraction of the price (0.03 = an offer that does not meet it counts as 3% dearer), USD per
 * hour added to an offer that does not meet it, or `strict`: meeting it comes before any price, in the order of the rules.
 */
export type Weight =
  | { kind: 'share'; share: number }
  | { kind: 'money'; perHour: number }
  | { kind: 'strict' };

/** A time in which a rule has its say; see window.ts for the notation. `spans` as written, such as `Fri 18:00/60h`. */
export interface Window {
  kind: 'deny' | 'allow';
  spans: string[];
  timeZone: string;
}

/** One effect of a rule. Expressions are CEL with the policy's variables written out. */
export type Clause =
  /** Bool over request and offer; or over `resource` too, and then only for machines that exist. */
  | { effect: 'require' | 'deny'; expression: string }
  /** Bool over request and offer. */
  | { effect: 'prefer'; expression: string; weight: Weight }
  /** The group (the new machine included) stands in `min` domains or more, and no domain has more than `maxShare` of it. */
  | { effect: 'spread'; by: Domain; min: number; maxShare: number; group: GroupKey[] }
  /** Bool over request and `resource`, an existing machine: be, or do not be, in one domain with such. */
  | { effect: 'affinity' | 'antiAffinity'; to: string; by: Domain }
  /** Data lies there and this much a month is read from it: egress counts as a cost. `at` is `aws/eu-central-1` or `site/<name>`. */
  | { effect: 'gravity'; at: string; gibPerMonth: string }
  /** The group's price rate, this machine included, is at most `limit` USD `per` hour, day (24 h) or month (730 h). */
  | { effect: 'budget'; group: GroupKey[]; per: 'hour' | 'day' | 'month'; limit: number }
  | { effect: 'quota'; group: GroupKey[]; resource: Countable; limit: number }
  /** A hard cap, in USD per hour. */
  | { effect: 'maxPrice'; perHour: number }
  /** Principals by name, any one of whom may approve; a request not answered in `expiresHours` fails. */
  | { effect: 'approval'; by: string[]; expiresHours: number }
  /** The longest life allowed, and the life of a machine whose request names none; null = such a request is refused. */
  | { effect: 'ttl'; maxHours: number; defaultHours: number | null }
  /** Keys a request must have; `allowed` gives the values a key may have. */
  | { effect: 'labels'; required: string[]; allowed: Record<string, string[]> }
  | { effect: 'window'; window: Window };

/** The names of what a rule can do. */
export type Effect = Clause['effect'];

/** What happens when a running machine is found against a rule. */
export type OnViolation = 'report' | 'approve' | 'replace' | 'stop';

/** A rule after checking. */
export interface ParsedRule {
  name: string;
  line: number;
  /** At least one; at most one of require and deny. */
  clauses: Clause[];
  when: string | null;
  message: Message | null;
  /** What an expression without a value (a missing attribute) does to the offer. */
  missing: 'reject' | 'pass';
  onViolation: OnViolation;
  /** Who answers for violations; null = the machine's project. */
  owner: string | null;
  /** A narrower scope's rule of the same name, with `override: true`, may take this one's place. */
  overridable: boolean;
  override: boolean;
}

/** A rule set aside for some requests, by somebody who answers for it, until a time. */
export interface Exception {
  rule: string;
  line: number;
  owner: string;
  reason: string;
  /** ISO time; the rule holds again from then. */
  expires: string;
  /** Bool over the request: whom it is for; null = every request. */
  match: string | null;
}

/** A test written in the policy file. */
export interface PolicyTest {
  name: string;
  line: number;
  /** As it is written, or a file of it, relative to the policy's; so are offers and machines. */
  request: Partial<PlacementRequest> | string;
  /** Null: the catalogue. */
  offers: Record<string, unknown>[] | string | null;
  /** Of a request of another kind than Instance, in place of offers. Null: the regions of the catalogue. */
  places: Record<string, unknown>[] | string | null;
  /** Machines that exist already; see {@link EstateMachine}. */
  estate: Record<string, unknown>[] | string;
  /** ISO time the test is at; null = now. */
  now: string | null;
  expect: {
    placed?: Record<string, unknown>;
    rejectedBy?: string[];
    unplaceable?: boolean;
    /** Rules whose approval the winner needs. */
    approvals?: string[];
  };
}

/** A policy that is free of errors. */
export interface ParsedPolicy {
  name: string;
  /** A short hash of its text; the store puts its own number here when it has one. */
  version: string;
  file: string;
  line: number;
  scope: { kind: 'organization' | 'project'; name: string };
  mode: Mode;
  match: string | null;
  rules: ParsedRule[];
  exceptions: Exception[];
  tests: PolicyTest[];
}
