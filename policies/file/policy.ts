import type { PlacementRequest } from '../place/types.ts';

/** How much a policy's verdict counts: it rejects, it is recorded as if it did, or it is only evaluated. */
export type Mode = 'enforce' | 'audit' | 'dryRun';

/** A message for people: a text as it is, or a CEL string expression over the request. */
export type Message = { kind: 'text'; text: string } | { kind: 'cel'; source: string };

/** A rule after checking; expressions are CEL with the policy's variables written out. */
export interface ParsedRule {
  name: string;
  line: number;
  effect: 'require' | 'deny';
  when: string | null;
  expression: string;
  message: Message | null;
  /** A narrower scope's rule of the same name, with `override: true`, may take this one's place. */
  overridable: boolean;
  override: boolean;
}

/** A test written in the policy file. */
export interface PolicyTest {
  name: string;
  line: number;
  request: Partial<PlacementRequest>;
  /** Inline offers, a file of them, or null for the catalogue. */
  offers: Record<string, unknown>[] | string | null;
  expect: { placed?: Record<string, unknown>; rejectedBy?: string[]; unplaceable?: boolean };
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
  tests: PolicyTest[];
}
