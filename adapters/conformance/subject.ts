import type { Adapter, ImageUrl, InstanceWant, Kind, Target, Want } from '../contract.ts';

/**
 * What the conformance suite needs of a provider under test: the adapter, the fault knobs of the simulator or test
 * host it talks to, and a second pair of eyes on what really exists there.
 */
export interface Subject {
  provider: string;
  /** The broker id that `want` stamps with. */
  broker: string;
  /** A new adapter object over the same provider: nothing may be lost between two of them (A12). */
  adapter(): Promise<Adapter>;
  want(resource: string, attempt: number, change?: Partial<InstanceWant>): Want<'Instance'>;
  target(resource: string, attempt?: number): Target<'Instance'>;
  faults: Faults;
  /** What exists at the provider now, seen without the adapter: machines, and children by their provider kind. */
  truth(): Promise<Truth[]>;
  /** Makes a resource, by default a machine, that is not ours (no stamp, or with `broker` another broker's stamp); answers its reference. */
  plantForeign(resource: string, broker?: string, kind?: Kind): Promise<string>;
  /** Why what it made may not be released here: nobody would find it afterwards. What was planted may. */
  losesReleased?: string;
  /** Where images are imported from a URL: a disk that can be, and what is refused before anything is made, each at its field. */
  imports?: {
    source: ImageUrl;
    refused: { source: ImageUrl; field: keyof ImageUrl }[];
  };
  /** Removes everything and stops what was started. */
  close(): Promise<void>;
}

export interface Truth {
  ref: string;
  providerKind: string;
  machine: boolean;
  /** Of the object that stands for a resource: its kind. Absent on a child, which exists for one. */
  kind?: Kind;
  resource?: string;
  attempt?: number;
  broker?: string;
}

/** The fault catalogue. Each lasts for `times` matching calls (default 1). What is said of a create holds for the kind it is set for. */
export type Fault =
  | { kind: 'latency'; ms: number; times?: number }
  /** What is created stays invisible to the next `lists` looks. */
  | { kind: 'lag'; lists: number }
  /** Without `retryAfterMs` the provider names no time. */
  | { kind: 'throttle'; retryAfterMs?: number; times?: number }
  | { kind: 'capacity'; times?: number }
  | { kind: 'quota'; times?: number }
  /** The create call never reaches the provider. */
  | { kind: 'requestLost'; times?: number }
  /** The create call takes effect; its answer is lost. */
  | { kind: 'responseLost'; times?: number }
  /** The create call is delivered twice, as networks may; one answer comes back. */
  | { kind: 'duplicate'; times?: number }
  /** The n-th child (1-based) of a create fails. */
  | { kind: 'failChild'; n: number }
  | { kind: 'slowDelete'; ms: number }
  /** What was deleted is gone, and `ms` later there again. */
  | { kind: 'deleteReturns'; ms: number; times?: number }
  /** The provider's clock is so much ahead, or behind where `ms` is negative: it judges signatures by it, and writes its times by it. */
  | { kind: 'clockSkew'; ms: number }
  /** The provider takes this spot machine away: by the next look it is stopped, going or gone, as the provider's own rules say. */
  | { kind: 'interrupt'; ref: string }
  /** The disk that an image is imported from is not there, or may not be read. */
  | { kind: 'unreadable'; times?: number }
  /** A list fails in the middle of its pages. */
  | { kind: 'brokenList'; times?: number };

export interface Faults {
  /** Sets the fault, for creates of `kind` (default: Instance), or answers why this provider cannot have it. */
  set(fault: Fault, kind?: Kind): true | { unsupported: string };
  clear(): void;
}
