import type { InstanceDetails, Target, WantRef } from '@landfall/adapters';
import type { InstanceStatus, Problem, Schemas } from '@landfall/model';
import {
  condemnIntents,
  type Database,
  finishOperations,
  forgetAdoption,
  type InstanceRow,
  type Intent,
  liveIntents,
  settleAdoption,
  specInPlace,
  supersedeApprovals,
  TiedPlaces,
  type Tx,
} from '@landfall/store';
import { type Selectable, sql } from 'kysely';
import type { Asker } from './approvals.ts';
import { type Step, siteQueue } from './steps.ts';
import type { TurnWrites } from './turn-writes.ts';

export type OpenOperation = Pick<
  Selectable<Database['operations']>,
  'id' | 'verb' | 'generation' | 'error' | 'cancel_requested_at' | 'created_at' | 'requested_by'
> &
  /** Of instances only. */
  Partial<Pick<Selectable<Database['operations']>, 'replacement'>>;

/**
 * One look at an instance in one transaction: its row (locked, so the API cannot change what is wanted meanwhile), its open
 * operations and live intents, and the ways to write them. What to do is decided in outcome.ts and next-step.ts.
 */
export class Turn {
  readonly tx: Tx;
  readonly broker: string;
  readonly organization: string;
  /** The time of the transaction. */
  readonly now: Date;
  row: InstanceRow;
  operations: OpenOperation[];
  /** Oldest attempt first. */
  intents: Intent[];
  /** Shared by the turns of a transaction. */
  readonly places: TiedPlaces;
  readonly #writes: TurnWrites;
  /** The outcome of this turn saw the machine there. */
  isSeen = false;

  private constructor(
    tx: Tx,
    broker: string,
    organization: string,
    now: Date,
    row: InstanceRow,
    operations: OpenOperation[],
    intents: Intent[],
    places: TiedPlaces,
    writes: TurnWrites,
  ) {
    this.tx = tx;
    this.broker = broker;
    this.organization = organization;
    this.now = now;
    this.row = row;
    this.operations = operations;
    this.intents = intents;
    this.places = places;
    this.#writes = writes;
  }

  /**
   * Looks at instances together, in the order of their ids, which is the same everywhere, since each is locked. Those at which
   * there is nothing to look any more are left out. What they write last goes to `writes`, for the caller to flush.
   */
  static async begin(tx: Tx, broker: string, ids: readonly string[], writes: TurnWrites): Promise<Turn[]> {
    const found = await tx
      .selectFrom('instances')
      .innerJoin('projects', 'projects.name', 'instances.project')
      .selectAll('instances')
      .select(['projects.organization', sql<Date>`now()`.as('now')])
      .where('instances.id', 'in', ids)
      .where('instances.gone_at', 'is', null)
      .orderBy('instances.id')
      .forUpdate('instances')
      .execute();
    if (found.length === 0) return [];
    const operations = await tx
      .selectFrom('operations')
      .select([
        'id',
        'verb',
        'generation',
        'error',
        'cancel_requested_at',
        'created_at',
        'requested_by',
        'replacement',
        'resource_id',
      ])
      .where('resource_id', 'in', ids)
      .where('state', 'in', ['Pending', 'Running'])
      .orderBy('created_at')
      .orderBy('id')
      .execute();
    const open = Map.groupBy(operations, ({ resource_id }) => resource_id);
    const tried = found.filter(({ attempt }) => attempt > 0).map(({ id }) => id);
    const live = Map.groupBy(await liveIntents(tx, tried), ({ resource }) => resource);
    const places = new TiedPlaces(tx);
    return found.map(
      ({ organization, now, ...row }) =>
        new Turn(
          tx,
          broker,
          organization,
          now,
          row,
          open.get(row.id) ?? [],
          live.get(row.id) ?? [],
          places,
          writes,
        ),
    );
  }

  /** It was ready once, or is a machine that was adopted: it may hold a user's work, and is removed only when the user says so (R11). */
  isInUse(intent: Intent): boolean {
    return (intent.state === 'adopted' && this.row.status.readyAt !== undefined) || this.row.adopted !== null;
  }

  /** It existed before us and does not carry our stamp yet, as far as is known. */
  get isAdopting(): boolean {
    return this.row.adopted !== null && this.row.status.readyAt === undefined;
  }

  /** Its adoption is cancelled: whatever became of it, the stamp goes off again. */
  get isGivenUp(): boolean {
    return this.isAdopting && this.operations.some((operation) => operation.cancel_requested_at);
  }

  /** Who asked for what is open, and the operation that speaks for it. */
  get asker(): Asker {
    return {
      operation: this.operations.at(-1)!.id,
      requestedBy: [...new Set(this.operations.map((operation) => operation.requested_by))],
    };
  }

  /** The machine carries our stamp: it is wanted as it was then. */
  async settleAdoption(
    intent: Intent,
    { power, instanceType, vcpus, memoryGiB }: InstanceDetails,
  ): Promise<void> {
    const seen = {
      power: power === 'running' ? 'running' : 'stopped',
      instanceType,
      vcpus,
      memoryGiB,
    } as const;
    const spec = await settleAdoption(this.tx, this.row, intent, seen);
    Object.assign(intent, {
      offer: { ...intent.offer, instanceType },
      sized_for: { ...intent.sized_for, vcpus, memoryGiB },
    });
    this.row = { ...this.row, spec };
  }

  /** What was adopted is lost for good: from now on the instance is one of ours, made from what a person has named. */
  async startAnew(replacement: Schemas['InstanceReplacement']): Promise<void> {
    const spec = specInPlace(this.row, replacement);
    await forgetAdoption(this.tx, this.row.id, spec);
    this.row = { ...this.row, spec, adopted: null };
    await this.writeStatus({ adopted: undefined });
  }

  /** Since when a machine in use has not been seen; null when it is there. */
  async noteAbsence(since: Date | null): Promise<void> {
    await this.tx
      .updateTable('instances')
      .set({ absent_since: since })
      .where('id', '=', this.row.id)
      .execute();
    this.row = { ...this.row, absent_since: since };
  }

  /** All that is open is to put right what drifted. */
  get isRepair(): boolean {
    return this.operations.length > 0 && this.operations.every(({ verb }) => verb === 'repair');
  }

  async condemn(intent: Intent, why: string, event = 'instance.attemptFailed'): Promise<void> {
    await condemnIntents(this.tx, this.row.id, [intent.attempt]);
    Object.assign(intent, { state: 'removing', removing_at: intent.removing_at ?? this.now });
    await this.report(why);
    await this.event(event, why, { attempt: intent.attempt, site: intent.site });
  }

  async condemnAll(why: string, but: (intent: Intent) => boolean = () => false): Promise<void> {
    const live = this.intents.filter((intent) => intent.state !== 'removing' && !but(intent));
    if (live.length === 0) return;
    const attempts = live.map((intent) => intent.attempt);
    await condemnIntents(this.tx, this.row.id, attempts);
    for (const intent of live) Object.assign(intent, { state: 'removing', removing_at: this.now });
    await this.progress(why);
  }

  /** Keeps, in the status, what was found and done. */
  async noteRepair(message: string): Promise<void> {
    await this.writeStatus({ lastRepair: { at: this.now.toISOString(), message } });
  }

  /** Ends these operations, and forgets them. */
  async finish(
    which: OpenOperation[],
    end: { state: 'Succeeded' | 'Failed' | 'Cancelled'; message: string; error?: Problem },
  ): Promise<void> {
    const ids = which.map((operation) => operation.id);
    await finishOperations(this.tx, ids, end);
    this.operations = this.operations.filter((operation) => !which.includes(operation));
  }

  /**
   * The open operations have failed, with this reason. They end once everything condemned is gone, so that a failed
   * operation has left nothing behind.
   */
  async fail(
    message: string,
    cause: { code: string; field?: string },
    state: 'Failed' | 'Lost' = 'Failed',
  ): Promise<void> {
    // What could not be replaced is as lost as it was, and may be tried again.
    const isReplacing = this.operations.some(({ verb, error }) => verb === 'replace' && !error);
    for (const operation of this.operations) await this.refuse(operation, message, cause);
    await supersedeApprovals(this.tx, this.row.id, 'the request has failed');
    // One that was not to be seen is Lost until it is: a refused look does not make it run.
    const isLost = state === 'Lost' || isReplacing || this.row.absent_since !== null;
    // A machine that was ready keeps the state it rests in: a refused resize does not make it failed.
    const keeps = this.intents.some((intent) => intent.state !== 'removing' && this.isInUse(intent));
    const resting = this.row.spec.power === 'stopped' ? 'Stopped' : 'Running';
    await this.writeStatus({
      state: isLost ? 'Lost' : keeps ? resting : state,
      message,
      observedGeneration: this.row.generation,
    });
    await this.event(
      'instance.failed',
      `instance ${this.row.name}: ${message}`,
      { code: cause.code },
      this.operations[0],
    );
  }

  /** An open operation has failed; it ends as in {@link fail}. */
  async refuse(
    operation: OpenOperation,
    message: string,
    cause: { code: string; field?: string },
  ): Promise<void> {
    operation.error = problemOf(message, cause);
    await this.tx
      .updateTable('operations')
      .set({ error: JSON.stringify(operation.error) })
      .where('id', '=', operation.id)
      .execute();
  }

  /** What the open operations are doing now. */
  async progress(message: string): Promise<void> {
    const ids = this.operations.filter((operation) => !operation.error).map((operation) => operation.id);
    for (const id of ids) this.#writes.progress.set(id, message);
  }

  /** The same, and in the instance's status. */
  async report(message: string): Promise<void> {
    await this.progress(message);
    if (this.row.status.message !== message) await this.writeStatus({ message });
  }

  /** Writes what is observed, and with it what else of the row has changed. */
  async writeStatus(
    change: Partial<InstanceStatus>,
    also: Partial<Pick<InstanceRow, 'attempt' | 'site' | 'expires_at'>> = {},
  ): Promise<void> {
    const status = { ...this.row.status, ...change };
    const revision = this.row.revision + 1;
    const { state, observedGeneration } = status;
    this.row = { ...this.row, ...also, status, revision, state, observed_generation: observedGeneration };
    this.#writes.rows.set(this.row.id, this.row);
  }

  async event(
    type: string,
    message: string,
    data: Record<string, unknown>,
    operation?: { id: string },
  ): Promise<void> {
    this.#writes.events.push({
      type,
      organization: this.organization,
      project: this.row.project,
      resource: { kind: 'Instance', id: this.row.id, name: this.row.name },
      operation: operation?.id ?? null,
      actor: 'landfall',
      message,
      data: { ...data, state: this.row.status.state },
    });
  }

  /** Where an attempt is, and by what it is known there. */
  address(intent: Intent): { queue: string; target: Target } {
    return {
      queue: siteQueue(intent.site, intent.host),
      target: {
        kind: 'Instance',
        stamp: {
          broker: this.broker,
          project: this.row.project,
          resource: this.row.id,
          attempt: intent.attempt,
        },
        location: locationOf(intent),
        ...(intent.ref ? { ref: intent.ref } : {}),
        // What was adopted was there before us, and was seen with our stamp: it is not on its way into view.
        ...(this.row.adopted !== null && !this.isAdopting
          ? {}
          : { since: allMadeBy(intent, this.row.status.readyAt) }),
      },
    };
  }

  /** Takes our stamp off what was to be adopted, where it got on, and touches nothing else. By its reference, since the stamp may not be to be seen. */
  letGo(intent: Intent): Step {
    const { queue, target } = this.address(intent);
    const ref = target.ref ?? this.row.adopted ?? undefined;
    return { do: 'release', attempt: intent.attempt, queue, target: { ...target, ...(ref ? { ref } : {}) } };
  }

  want(intent: Intent): WantRef {
    return {
      resource: this.row.id,
      attempt: intent.attempt,
      generation: this.row.generation,
      location: locationOf(intent),
    };
  }
}

/**
 * When the last of an attempt was made, as far as can be told: the provider may show it late (A6). A create may have been throttled
 * for long, and calls could make something until it was ready, or until it was to be removed.
 */
export function allMadeBy(
  { state, created_at, removing_at }: Pick<Intent, 'state' | 'created_at' | 'removing_at'>,
  readyAt: string | undefined,
): string {
  if (state !== 'removing') return created_at.toISOString();
  return readyAt ?? (removing_at ?? created_at).toISOString();
}

/** What an operation says of its failure. */
export function problemOf(message: string, cause: { code: string; field?: string }): Problem {
  const code = cause.code.replace(/[A-Z]/g, (letter, index) => `${index ? '-' : ''}${letter.toLowerCase()}`);
  return {
    type: `https://landfall.dev/problems/${code}`,
    title: 'The operation failed',
    status: 422,
    detail: message,
    ...(cause.field ? { errors: [{ pointer: cause.field, message }] } : {}),
  };
}

function locationOf(intent: Intent): Target['location'] {
  return {
    region: intent.region,
    ...(intent.zone ? { zone: intent.zone } : {}),
    ...(intent.host ? { host: intent.host } : {}),
  };
}

/** What the status says of an attempt's place and price. */
export function placeOf(intent: Intent): Partial<InstanceStatus> {
  const { offer } = intent;
  return {
    site: intent.site,
    provider: offer.provider,
    region: intent.region,
    zone: intent.zone ?? undefined,
    host: intent.host ?? undefined,
    instanceType: offer.instanceType,
    market: offer.market,
    pricePerHour: offer.pricePerHour,
    pricePerMonth: offer.pricePerMonth,
    currency: offer.currency,
  };
}
