import type { Target, WantRef } from '@landfall/adapters';
import type { Problem } from '@landfall/model';
import {
  adapterKinds,
  appendEvent,
  eventPrefix,
  finishOperations,
  liveResourceIntents,
  moveResourceIntent,
  progressOperations,
  type ResourceIntent,
  type ResourceRow,
  type ResourceStatus,
  type Tx,
  wordsOf,
} from '@landfall/store';
import { type Step, siteQueue } from './steps.ts';
import { allMadeBy, type OpenOperation, problemOf } from './turn.ts';

/**
 * One look at a resource in one transaction: its row (locked), its open operations, its live intent, and the ways to write
 * them. What to do is decided in resource-decisions.ts.
 */
export class ResourceTurn {
  readonly tx: Tx;
  readonly broker: string;
  readonly organization: string;
  row: ResourceRow;
  operations: OpenOperation[];
  /** Under which something may exist; at most one, since a new attempt waits for the end of the last. */
  intent: ResourceIntent | undefined;
  /** The outcome of this turn saw it there. */
  isSeen = false;

  private constructor(
    tx: Tx,
    broker: string,
    organization: string,
    row: ResourceRow,
    operations: OpenOperation[],
    intent: ResourceIntent | undefined,
  ) {
    this.tx = tx;
    this.broker = broker;
    this.organization = organization;
    this.row = row;
    this.operations = operations;
    this.intent = intent;
  }

  /** Undefined where there is nothing to look at any more. */
  static async begin(tx: Tx, broker: string, id: string): Promise<ResourceTurn | undefined> {
    const found = await tx
      .selectFrom('resources')
      .innerJoin('projects', 'projects.name', 'resources.project')
      .selectAll('resources')
      .select('projects.organization')
      .where('resources.id', '=', id)
      .where('resources.gone_at', 'is', null)
      .forUpdate('resources')
      .executeTakeFirst();
    if (!found) return undefined;
    const { organization, ...row } = found;
    const operations = await tx
      .selectFrom('operations')
      .select(['id', 'verb', 'generation', 'error', 'cancel_requested_at', 'created_at', 'requested_by'])
      .where('resource_id', '=', id)
      .where('state', 'in', ['Pending', 'Running'])
      .orderBy('created_at')
      .orderBy('id')
      .execute();
    const [intent] = await liveResourceIntents(tx, id);
    return new ResourceTurn(tx, broker, organization, row, operations, intent);
  }

  get words(): string {
    return `${wordsOf[this.row.kind]} ${this.row.name}`;
  }

  /** It existed before it was ours, and was not seen with our stamp yet. */
  get isAdopting(): boolean {
    return this.row.adopted !== null && this.row.status.readyAt === undefined;
  }

  /** As of an instance. */
  get isGivenUp(): boolean {
    return this.isAdopting && this.operations.some((operation) => operation.cancel_requested_at);
  }

  /** It was ready once: it may hold a user's data, and is removed only when the user says so (R11). */
  get isInUse(): boolean {
    return this.intent?.state === 'adopted' && this.row.status.readyAt !== undefined;
  }

  async condemn(why: string): Promise<void> {
    if (!this.intent || this.intent.state === 'removing') return;
    await moveResourceIntent(this.tx, this.intent, { state: 'removing' });
    await this.report(why);
  }

  async finish(
    which: OpenOperation[],
    end: { state: 'Succeeded' | 'Failed' | 'Cancelled'; message: string; error?: Problem },
  ): Promise<void> {
    if (which.length === 0) return;
    await finishOperations(
      this.tx,
      which.map(({ id }) => id),
      end,
    );
    this.operations = this.operations.filter((operation) => !which.includes(operation));
  }

  /** The open operations have failed; they end once everything condemned is gone. One in use keeps its state. */
  async fail(
    message: string,
    cause: { code: string; field?: string },
    state: 'Failed' | 'Lost' = 'Failed',
  ): Promise<void> {
    const error = problemOf(message, cause);
    const ids = this.operations.map(({ id }) => id);
    if (ids.length > 0)
      await this.tx
        .updateTable('operations')
        .set({ error: JSON.stringify(error) })
        .where('id', 'in', ids)
        .execute();
    for (const operation of this.operations) operation.error = error;
    const keeps = this.isInUse && state !== 'Lost';
    await this.writeStatus({
      state: keeps ? 'Ready' : state,
      message,
      observedGeneration: this.row.generation,
    });
    await this.event('failed', `${this.words}: ${message}`, { code: cause.code }, this.operations[0]);
  }

  /** What the open operations are doing now, in them and in the status. */
  async report(message: string): Promise<void> {
    for (const { id, error } of this.operations) if (!error) await progressOperations(this.tx, [id], message);
    if (this.row.status.message !== message) await this.writeStatus({ message });
  }

  /** Writes what is observed, and with it what else of the row has changed. */
  async writeStatus(
    change: Partial<ResourceStatus>,
    also: Partial<Pick<ResourceRow, 'attempt' | 'site' | 'absent_since' | 'gone_at'>> = {},
  ): Promise<void> {
    const status = { ...this.row.status, ...change };
    const revision = this.row.revision + 1;
    const { state, observedGeneration } = status;
    this.row = { ...this.row, ...also, status, revision, state, observed_generation: observedGeneration };
    await this.tx
      .updateTable('resources')
      .set({
        ...also,
        status: JSON.stringify(status),
        state,
        observed_generation: observedGeneration,
        revision,
        updated_at: new Date(),
      })
      .where('id', '=', this.row.id)
      .execute();
  }

  /** `what` after the kind, e.g. `ready` for `volume.ready`. */
  async event(
    what: string,
    message: string,
    data: Record<string, unknown> = {},
    operation?: { id: string },
  ): Promise<void> {
    await appendEvent(this.tx, {
      type: `${eventPrefix(this.row.kind)}.${what}`,
      organization: this.organization,
      project: this.row.project,
      resource: { kind: this.row.kind, id: this.row.id, name: this.row.name },
      operation: operation?.id ?? null,
      actor: 'landfall',
      message,
      data: { ...data, state: this.row.status.state },
    });
  }

  /** Where the attempt is, and by what it is known there. */
  address(intent: ResourceIntent): { queue: string; target: Target } {
    return {
      queue: siteQueue(intent.site, intent.host),
      target: {
        kind: adapterKinds[this.row.kind],
        stamp: {
          broker: this.broker,
          project: this.row.project,
          resource: this.row.id,
          attempt: intent.attempt,
        },
        location: locationOf(intent),
        ...(intent.ref ? { ref: intent.ref } : {}),
        // What existed before is not young.
        ...(this.row.adopted !== null && !this.isAdopting
          ? {}
          : { since: allMadeBy(intent, this.row.status.readyAt) }),
      },
    };
  }

  /** As of an instance: only our stamp goes. */
  letGo(intent: ResourceIntent): Step {
    const { queue, target } = this.address(intent);
    const ref = target.ref ?? this.row.adopted ?? undefined;
    return { do: 'release', attempt: intent.attempt, queue, target: { ...target, ...(ref ? { ref } : {}) } };
  }

  want(intent: ResourceIntent): WantRef {
    return {
      resource: this.row.id,
      attempt: intent.attempt,
      generation: this.row.generation,
      location: locationOf(intent),
    };
  }
}

function locationOf({ region, zone, host }: ResourceIntent): Target['location'] {
  return { region, ...(zone ? { zone } : {}), ...(host ? { host } : {}) };
}
