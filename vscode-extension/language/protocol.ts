/** What the client and the server of the language say to each other beside the standard protocol. */
import type { Decision, PlacedOffer } from '@landfall/policies';
import { NotificationType, RequestType } from 'vscode-languageserver-protocol';
import type { RegionOffer } from './region-offers.ts';
import type { RuleCount } from './rule-counts.ts';

/**
 * Names of the estate that the client knows from its broker. What is absent comes from the shipped catalogue; its regions, zones,
 * instance types and GPUs are offered beside the estate's, since policies speak of places where no site is yet.
 */
export interface EstateNames {
  /** Whether a broker answers; without one nothing can be said of the estate. */
  connected: boolean;
  regions?: string[];
  zones?: string[];
  instanceTypes?: string[];
  gpuNames?: string[];
  sites?: string[];
  hosts?: string[];
  images?: string[];
  projects?: string[];
  organizations?: string[];
  networks?: string[];
  sshKeys?: string[];
  /** Keys of labels in use, with their values. */
  labels?: Record<string, string[]>;
  /** Another number: what the broker said of a document may be otherwise now, by its hosts, sites, prices or policies. */
  changes?: number;
}

/** Client → server, whenever the names or the connection change. */
export const estateNotification = new NotificationType<EstateNames>('landfall/estate');

/** Kinds that a broker is asked about as they are typed. */
export const questionKinds = ['Instance', 'PlacementPolicy'] as const;

/** A document as the editor has it. */
export interface BrokerQuestion {
  uri: string;
  kind: (typeof questionKinds)[number];
  text: string;
  /** The line (from 0) at which it begins. */
  line: number;
}

/** In a few words, such as `3 of 212 requests move, −$412.00 a month`; or why there is no answer now. */
export type BrokerAnswer = { summary: string } | { unanswered: string };

/**
 * Server → client: where the instance would land at the connected broker, or what the policy would change of what it decided.
 * Cancelled when the text changes.
 */
export const brokerRequest = new RequestType<BrokerQuestion, BrokerAnswer, void>('landfall/askBroker');

/** A decision and what it was made from. */
export interface PlacementExplanation {
  /** `instance/web`. */
  subject: string;
  decision: Decision;
  /** Every region that has offers, the cheapest first; those without a compliant one last. A broker tells its best offers alone. */
  regions: RegionOffer[];
  /** Addresses of policy files left out because they have errors. */
  unreadable: string[];
  /** What it was made from, in a sentence. */
  madeFrom: string;
  /** Whether a broker made it, so that its rules are those that the broker keeps. */
  atBroker: boolean;
  /** Of what policies of files would change: what that is. */
  change?: PlacementChange;
}

/** A decision as a broker keeps it. */
export interface RecordedDecision {
  project: string;
  name: string;
  id: string;
}

/** What becomes of a decision under changed policies. */
export interface PlacementChange {
  recorded: RecordedDecision;
  /** Where it is now; null: nowhere. */
  from: PlacedOffer | null;
  /** In a sentence; null: nothing changes. */
  why: string | null;
  /** Rules that its sentence may name, in force now or changed. */
  rules: { policy: string; rule: string }[];
  /** Addresses of the files that changed policies are of, by their names. */
  files: Record<string, string>;
}

/** Why there is nothing to explain, for the person who asked. */
export interface NothingToExplain {
  refused: string;
}

/** Where the instance at a line (from 0) of a file would land: by the policies of the workspace, over the shipped prices. */
export const explanationRequest = new RequestType<
  Pick<DocumentTarget, 'uri' | 'line'>,
  PlacementExplanation | NothingToExplain,
  void
>('landfall/explainPlacement');

/** A rule as decisions tell of it. */
export interface RuleName {
  policy: string;
  rule: string;
  /** The file that had it when the decision was made, where that is known. */
  uri?: string;
  /** What the decision is about, such as `instance/web`: that may have brought the rule itself. */
  subject?: string;
  /** Whether the decision is the broker's, so that the rule is one of a policy that the broker keeps. */
  atBroker?: boolean;
  /** The policy's text as the broker keeps it: it says whose policy it is. */
  stored?: string;
}

/** Line from 1 of a file; without one, of the broker's text. */
export interface RulePlace {
  uri?: string;
  line: number;
}

/** Which line of the workspace a rule is, else of the text that the broker keeps; null: it is in neither. */
export const rulePlaceRequest = new RequestType<RuleName, RulePlace | null, void>('landfall/rulePlace');

/** A rule of a policy in a file, and which of its figures is asked about: what it rejects, or what it alone rejects. */
export interface RuleTarget {
  uri: string;
  policy: string;
  rule: string;
  asked: 'rejected' | 'alone';
}

/** Offers of one provider, region or family. */
export interface RejectedGroup {
  provider: string;
  name: string;
  rejected: number;
  of: number;
}

/** An instance of the workspace that a rule alone keeps from a better place; lines from 1. */
export interface KeptInstance {
  subject: string;
  uri: string;
  line: number;
  offer: PlacedOffer;
  /** Null: without the rule it has a place, with it none. */
  savingPerMonth: number | null;
}

/** What a rule rejects of the shipped catalogue; lines from 1, prices in USD. */
export interface RuleRejections extends RuleCount {
  uri: string;
  policy: string;
  rule: string;
  line: number;
  groups: { provider: RejectedGroup[]; region: RejectedGroup[]; family: RejectedGroup[] };
  /**
   * The cheapest of those that it alone rejects, each with the cheapest offer that the policy allows and that is as large, and what
   * the former costs less a month; null without one.
   */
  offers: { offer: PlacedOffer; allowed: PlacedOffer | null; savingPerMonth: number | null }[];
  instances: KeptInstance[];
  /** Other rules of the policy, with how many offers both reject; the most first. */
  related: { rule: string; line: number; both: number }[];
  /** Rules of the same name in other policies of the workspace. */
  namesakes: { policy: string; uri: string; line: number }[];
}

/** What the rule rejects by the text as the editor has it. */
export const rejectionsRequest = new RequestType<RuleTarget, RuleRejections | NothingToExplain, void>(
  'landfall/ruleRejections',
);

/** A test of a policy file; lines from 0. */
export interface PolicyTestItem {
  uri: string;
  policy: string;
  /** Line of the policy's document. */
  policyLine: number;
  name: string;
  line: number;
  /** The files that it names. */
  fixtures: string[];
  /** The rules that its expectation names. */
  rules: string[];
}

/** The tests of one file, or of all files of the workspace. */
export const testsRequest = new RequestType<{ uri?: string }, PolicyTestItem[], void>('landfall/tests');

/** Server → client: the tests of a file may have changed. */
export const testsChangedNotification = new NotificationType<{ uri: string }>('landfall/testsChanged');

/** How a test went. */
export interface PolicyTestOutcome extends PolicyTestItem {
  passed: boolean;
  /** One line for people. */
  message: string;
  /** Both as YAML, for a diff. */
  expected: string;
  actual: string;
  durationMs: number;
}

/** Why a file's tests did not run. */
export interface UnrunnableFile {
  uri: string;
  line: number;
  message: string;
}

/** Runs the tests of a file, or those of `only` (policy and name), on the text as the editor has it. */
export const runTestsRequest = new RequestType<
  { uri: string; only?: { policy: string; name: string }[] },
  { outcomes: PolicyTestOutcome[]; unrunnable: UnrunnableFile[] },
  void
>('landfall/runTests');

/** Commands of the lenses; the client carries them out. Arguments of each: one object. */
export const lensCommands = {
  /** {@link DocumentTarget} */
  explainPlacement: 'landfall.explainPlacement',
  /** {@link RuleTarget} */
  ruleRejections: 'landfall.ruleRejections',
  /** {@link TestsTarget} */
  runPolicyTests: 'landfall.runPolicyTests',
  /** {@link DocumentTarget} */
  whatIf: 'landfall.whatIf',
  /** {@link DocumentTarget} */
  planFile: 'landfall.planFile',
  /** {@link DocumentTarget} */
  applyFile: 'landfall.applyFile',
  /** {@link DocumentTarget} */
  compareWithLive: 'landfall.compareWithLive',
  /** {@link DocumentTarget} */
  deleteFile: 'landfall.deleteFile',
} as const;

/** A document of a file that something is to be done with; line from 0. */
export interface DocumentTarget {
  uri: string;
  line: number;
  name: string;
}

/** The policy whose tests are to be run, or those of them that name a rule. */
export interface TestsTarget {
  uri: string;
  policy: string;
  rule?: string;
}

/** Settings, below `landfall`. */
export interface LanguageSettings {
  lenses: { resource: boolean; rule: boolean; policy: boolean; whatIf: boolean; actions: boolean };
}
