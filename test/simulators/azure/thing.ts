/** What a request may say of an object. */
export interface Content {
  location?: string;
  tags?: Record<string, string>;
  zones?: string[];
  sku?: { name?: string };
  // biome-ignore lint/suspicious/noExplicitAny: bodies are checked by the published schema, not by types.
  properties: Record<string, any>;
  managedBy?: string;
}

/** An object as Azure's answers show it. */
export interface Body extends Content {
  id: string;
  name: string;
  type: string;
  etag?: string;
}

export interface Thing {
  body: Body;
  /** ISO time of its making, by Azure's clock. */
  createdAt: string;
  /** Looks that do not see it yet. */
  hidden: number;
  /** Of a machine: its power, absent until it first ran; and why it failed. */
  power?: 'running' | 'deallocated' | 'stopped' | 'starting' | 'deallocating';
  failure?: { code: string; message: string };
}

/** What Azure answers when it refuses. */
export class ArmError extends Error {
  readonly status: number;
  readonly code: string;
  readonly target?: string;

  constructor(status: number, code: string, message: string, target?: string) {
    super(message);
    this.status = status;
    this.code = code;
    this.target = target;
  }
}

/** What the rules of a service may look at. */
export interface Estate {
  /** ISO time by Azure's clock. */
  now(): string;
  things: Map<string, Thing>;
  find(id: string | undefined): Thing | undefined;
  /** The thing that `by` refers to. @throws ArmError `InvalidResourceReference` */
  need(id: string | undefined, by: string): Thing;
  /** Whether the blob that is read now cannot be. The simulator has no storage accounts: others are taken as there. */
  isUnreadable(): boolean;
  /** Everything of a type, e.g. `disks`. */
  all(type: string): Thing[];
}

/** Azure's ids are the same whatever their case is. */
export const same = (one: string | undefined, other: string | undefined): boolean =>
  one !== undefined && one.toLowerCase() === other?.toLowerCase();

/** Last but one word of an id, in lower case, e.g. `disks`. */
export const typeOf = (id: string): string => id.toLowerCase().split('/').at(-2) ?? '';

/** The id of what a thing is a part of: of a subnet, its network. */
export const parentOf = (id: string): string => id.split('/').slice(0, -2).join('/');
