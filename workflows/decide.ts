import type { Observation, Target, WantRef } from '@landfall/adapters';
import type { InstanceStatus, Problem } from '@landfall/model';
import {
  adoptIntent,
  appendEvent,
  closeIntent,
  condemnIntents,
  type Database,
  type Db,
  finishOperations,
  type InstanceRow,
  type Intent,
  liveIntents,
  progressOperations,
  setAside,
  type Tx,
} from '@landfall/store';
import type { Selectable } from 'kysely';
import { ClaimLost, type Placer } from './place.ts';
import { type Outcome, type Step, siteQueue } from './steps.ts';

export interface Decisions {
  /** Records the outcome of the last step, and decides the next. Safe to repeat with the same outcome. */
  decide(input: { instance: string; outcome?: Outcome }): Promise<Step>;
}

type OpenOperation = Pick<
  Selectable<Database['operations']>,
  'id' | 'verb' | 'generation' | 'cancel_requested_at' | 'created_at'
>;

/** Attempts at one operation before it fails with the reasons of the last. */
const maxAttempts = 10;
/** A machine that is not ready by then is given up and made elsewhere. */
const readyWithinMs = 15 * 60_000;
/** How long an offer that refused is left out of placement. */
const capacityAsideMs = 10 * 60_000;
const hostAsideMs = 2 * 60_000;

/** The decisions over one store. `placer` chooses places; see place.ts. */
export function decisions(db: Db, broker: string, placer: Placer): Decisions {
  return {
    async decide({ instance, outcome }) {
      for (let collision = 0; ; collision++) {
        try {
          return await db.transaction().execute((tx) => new Turn(tx, broker, placer).take(instance, outcome));
        } catch (error) {
          // Another placement took the room first: what it left is known now, so look again.
          if (!(error instanceof ClaimLost) || collision >= 50) throw error;
          await new Promise((resolve) => setTimeout(resolve, Math.random() * 10 * (collision + 1)));
        }
      }
    },
  };
}

/** One decision in one transaction. The instance's row is locked, so the API cannot change what is wanted meanwhile. */
class Turn {
  private readonly tx: Tx;
  private readonly broker: string;
  private readonly placer: Placer;
  private row!: InstanceRow;
  private organization!: string;
  private operations: OpenOperation[] = [];
  private intents: Intent[] = [];

  constructor(tx: Tx, broker: string, placer: Placer) {
    this.tx = tx;
    this.broker = broker;
    this.placer = placer;
  }

  async take(id: string, outcome: Outcome | undefined): Promise<Step> {
    const row = await this.tx
      .selectFrom('instances')
      .selectAll()
      .where('id', '=', id)
      .forUpdate()
      .executeTakeFirst();
    if (!row || row.gone_at) return { do: 'done' };
    this.row = row;
    this.organization = (
      await this.tx
        .selectFrom('projects')
        .select('organization')
        .where('name', '=', row.project)
        .executeTakeFirstOrThrow()
    ).organization;
    this.operations = await this.tx
      .selectFrom('operations')
      .select(['id', 'verb', 'generation', 'cancel_requested_at', 'created_at'])
      .where('resource_id', '=', id)
      .where('state', 'in', ['Pending', 'Running'])
      .orderBy('created_at')
      .execute();
    this.intents = await liveIntents(this.tx, id);
    const next = outcome && (await this.record(outcome));
    return next ?? (await this.next());
  }

  /** Applies an outcome; answers a step only where the outcome itself says what comes next. */
  private async record(outcome: Outcome): Promise<Step | undefined> {
    const intent = this.intents.find((candidate) => candidate.attempt === outcome.attempt);
    if (!intent) return undefined; // recorded before: this is a repeat
    if (outcome.of === 'remove') return this.recordRemoval(intent, outcome);
    if (intent.state === 'removing' || this.row.deleted_at) return undefined; // what was seen is to go anyway
    if ('failed' in outcome) return this.recordFailure(intent, outcome);
    return this.recordSeen(intent, outcome.generation, outcome.of, outcome.seen);
  }

  private async recordRemoval(
    intent: Intent,
    outcome: Extract<Outcome, { of: 'remove' }> | Outcome,
  ): Promise<Step | undefined> {
    if ('failed' in outcome) {
      const { code, message } = outcome.failed;
      await this.report(
        `cannot remove attempt ${intent.attempt} at ${intent.site} yet (${code}): ${message}`,
      );
      return { do: 'wait', ms: code === 'Denied' || code === 'Conflict' ? 60_000 : 5_000 };
    }
    if (!('removal' in outcome)) return undefined;
    if (!outcome.removal.done) return { do: 'wait', ms: outcome.removal.retryAfterMs };
    await closeIntent(this.tx, this.row.id, intent.attempt);
    this.intents = this.intents.filter((other) => other.attempt !== intent.attempt);
    await this.event('instance.removed', `attempt ${intent.attempt} is gone from ${intent.site}`, {
      attempt: intent.attempt,
      site: intent.site,
      ref: intent.ref,
    });
    return undefined;
  }

  private async recordFailure(
    intent: Intent,
    outcome: Extract<Outcome, { failed: unknown }>,
  ): Promise<Step | undefined> {
    const { code, message, providerCode } = outcome.failed;
    const where = `${intent.site}${intent.zone ? ` ${intent.zone}` : ''}`;
    const inUse = this.isInUse(intent);
    switch (code) {
      case 'OutcomeUnknown':
        return outcome.of === 'observe'
          ? { do: 'wait', ms: 2_000 }
          : { do: 'observe', ...this.address(intent), want: this.want(intent) };
      case 'Throttled':
      case 'Unavailable':
        await this.report(`${where} is not answering (${message}); trying again`);
        return { do: 'wait', ms: 10_000 };
      case 'CapacityExhausted':
      case 'QuotaExceeded':
        if (inUse) break; // a user's machine is kept, whatever the provider is short of (R11)
        await setAside(this.tx, {
          site: intent.site,
          region: intent.region,
          zone: code === 'CapacityExhausted' ? intent.zone : null,
          host: intent.host,
          instance_type: intent.host || code === 'QuotaExceeded' ? null : intent.offer.instanceType,
          market: intent.offer.market,
          reason: `${providerCode ?? code}: ${message}`,
          forMs: intent.host ? hostAsideMs : capacityAsideMs,
        });
        await this.condemn(
          intent,
          `${where} refused ${intent.offer.instanceType} (${providerCode ?? code}); the next compliant offer is tried`,
        );
        return undefined;
      case 'Conflict':
      case 'NotFound':
        if (inUse) break;
        await this.condemn(
          intent,
          `attempt ${intent.attempt} at ${where} cannot be used (${message}); a new one is made`,
        );
        return undefined;
      default:
        break;
    }
    if (!inUse) await this.condemn(intent, `${where} refused: ${message}`);
    await this.fail(`${providerCode ?? code}: ${message}`, { code, field: outcome.failed.field });
    return undefined;
  }

  private async recordSeen(
    intent: Intent,
    generation: number,
    by: 'ensure' | 'observe',
    seen: Observation,
  ): Promise<Step | undefined> {
    if (seen.presence === 'unsettled') return { do: 'wait', ms: seen.retryAfterMs };
    if (seen.presence === 'absent') {
      if (!this.isInUse(intent)) return undefined; // nothing came of it: ensure again with the same token
      await this.fail(
        `the machine ${intent.ref} is gone from ${intent.site}: delete the instance and create it again`,
        { code: 'NotFound' },
        'Lost',
      );
      return undefined;
    }
    await adoptIntent(this.tx, this.row.id, intent.attempt, seen.ref);
    intent.state = 'adopted';
    intent.ref = seen.ref;
    if (seen.state === 'failed' && !this.row.status.readyAt) {
      await this.condemn(
        intent,
        `the machine at ${intent.site} failed while it was made; the next compliant offer is tried`,
      );
      return undefined;
    }
    const settled = seen.state === 'ready' && seen.diff.length === 0 && by === 'ensure';
    await this.writeStatus({
      ...placeOf(intent),
      externalReference: seen.ref,
      children: seen.details.children,
      addresses: seen.details.addresses,
      ...(seen.details.ssh ? { ssh: seen.details.ssh } : {}),
      vcpus: seen.details.vcpus,
      memoryGiB: seen.details.memoryGiB,
      instanceType: seen.details.instanceType,
      reboots: seen.details.reboots,
      ...(settled
        ? {
            state: seen.details.power === 'running' ? ('Running' as const) : ('Stopped' as const),
            message: '',
            observedGeneration: generation,
            readyAt: this.row.status.readyAt ?? new Date().toISOString(),
          }
        : {}),
    });
    if (!settled) return this.stillConverging(intent, by, seen);
    const served = this.operations.filter(
      (operation) => operation.generation <= generation && !operation.cancel_requested_at,
    );
    const address = seen.details.addresses[0]?.address;
    const message = `${this.row.status.state} at ${intent.site}${intent.host ? ` on ${intent.host}` : ''}${address ? `, ${address}` : ''}`;
    await finishOperations(
      this.tx,
      served.map((operation) => operation.id),
      { state: 'Succeeded', message },
    );
    this.operations = this.operations.filter((operation) => !served.includes(operation));
    await this.event(
      `instance.${this.row.status.state.toLowerCase()}`,
      `instance ${this.row.name} is ${message}`,
      { attempt: intent.attempt, ref: seen.ref },
      served[0]?.id,
    );
    return undefined;
  }

  private async stillConverging(
    intent: Intent,
    by: 'ensure' | 'observe',
    seen: Extract<Observation, { presence: 'present' }>,
  ): Promise<Step | undefined> {
    if (by === 'observe') return undefined;
    if (!this.row.status.readyAt && Date.now() - intent.created_at.getTime() > readyWithinMs) {
      await this.condemn(
        intent,
        `the machine at ${intent.site} was not ready within ${readyWithinMs / 60_000} minutes; the next compliant offer is tried`,
      );
      return undefined;
    }
    await this.report(
      seen.diff.length > 0 ? `still to change: ${seen.diff.join(', ')}` : 'the guest is not answering yet',
    );
    return { do: 'wait', ms: 1_000 };
  }

  private async next(): Promise<Step> {
    await this.heedCancellation();
    if (this.row.deleted_at) await this.condemnAll('deletion was asked for');
    const condemned = this.intents.find((intent) => intent.state === 'removing');
    if (condemned) {
      if (this.row.deleted_at) await this.writeStatus({ state: 'Deleting' });
      return { do: 'remove', attempt: condemned.attempt, ...this.address(condemned) };
    }
    if (this.row.deleted_at) return this.finishDeletion();
    const open = this.operations.at(-1);
    if (!open) return { do: 'done' };
    const intent = this.intents.at(-1);
    if (!intent) return this.place(open);
    return this.converge(intent, open);
  }

  private async heedCancellation(): Promise<void> {
    const cancelled = this.operations.filter((operation) => operation.cancel_requested_at);
    if (cancelled.length === 0) return;
    await this.condemnAll('the create was cancelled');
    await finishOperations(
      this.tx,
      this.operations.map((operation) => operation.id),
      { state: 'Cancelled', message: 'cancelled; what was made is removed' },
    );
    this.operations = [];
    await this.writeStatus({
      state: 'Failed',
      message: 'the create was cancelled',
      observedGeneration: this.row.generation,
    });
    await this.event(
      'instance.cancelled',
      `the create of instance ${this.row.name} was cancelled`,
      {},
      cancelled[0]!.id,
    );
  }

  private async place(open: OpenOperation): Promise<Step> {
    const tried = await this.tx
      .selectFrom('intents')
      .select(({ fn }) => fn.countAll<number>().as('count'))
      .where('resource', '=', this.row.id)
      .where('created_at', '>=', open.created_at)
      .executeTakeFirstOrThrow();
    if (tried.count >= maxAttempts) {
      await this.fail(
        `given up after ${maxAttempts} attempts; the last: ${this.row.status.message ?? 'unknown'}`,
        { code: 'CapacityExhausted' },
      );
      return { do: 'done' };
    }
    const attempt = this.row.attempt + 1;
    const placed = await this.placer.place(this.tx, this.row, this.organization, attempt, open.id);
    if (!placed.intent) {
      await this.writeStatus({ decision: placed.decision });
      await this.fail(placed.reasons.join('; ') || 'no compliant offer fits', { code: 'Unplaceable' });
      return { do: 'done' };
    }
    this.intents.push(placed.intent);
    await this.tx
      .updateTable('instances')
      .set({ attempt, site: placed.intent.site })
      .where('id', '=', this.row.id)
      .execute();
    this.row = { ...this.row, attempt };
    await this.writeStatus({
      ...placeOf(placed.intent),
      state: 'Provisioning',
      attempt,
      decision: placed.decision,
      readyAt: undefined,
      message: `making it at ${placed.intent.site}`,
    });
    await progressOperations(
      this.tx,
      this.operations.map((operation) => operation.id),
      `placed at ${placed.intent.site} ${placed.intent.zone ?? placed.intent.region}; making it`,
    );
    const { offer } = placed.intent;
    await this.event(
      'instance.placed',
      `instance ${this.row.name} is placed at ${placed.intent.site}: ${offer.instanceType} in ${placed.intent.zone ?? placed.intent.region} for ${offer.pricePerHour} ${offer.currency} an hour`,
      { attempt, decision: placed.decision, site: placed.intent.site, pricePerHour: offer.pricePerHour },
      open.id,
    );
    return { do: 'ensure', ...this.address(placed.intent), want: this.want(placed.intent) };
  }

  private async converge(intent: Intent, open: OpenOperation): Promise<Step> {
    if (intent.state === 'adopted') {
      const resized = await this.placer.resize(this.tx, this.row, this.organization, intent);
      if (!resized.fits) {
        await this.fail(resized.reasons.join('; '), { code: 'Unplaceable' });
        return { do: 'done' };
      }
      intent.offer = resized.offer;
    }
    const doing = { start: 'Starting', stop: 'Stopping', reboot: 'Rebooting', resize: 'Resizing' } as const;
    const state =
      intent.state === 'adopted' && open.verb in doing ? doing[open.verb as keyof typeof doing] : undefined;
    if (state && state !== this.row.status.state) {
      await this.writeStatus({ state });
      await this.event(
        `instance.${state.toLowerCase()}`,
        `instance ${this.row.name} is ${state.toLowerCase()}`,
        {},
        open.id,
      );
    }
    await progressOperations(
      this.tx,
      this.operations.map((operation) => operation.id),
      `${state ?? 'waiting'} at ${intent.site}`,
    );
    return { do: 'ensure', ...this.address(intent), want: this.want(intent) };
  }

  private async finishDeletion(): Promise<Step> {
    const deletion = this.operations.filter(
      (operation) => operation.verb === 'delete' || operation.verb === 'expire',
    );
    const others = this.operations.filter((operation) => !deletion.includes(operation));
    await finishOperations(
      this.tx,
      deletion.map((operation) => operation.id),
      { state: 'Succeeded', message: 'deleted' },
    );
    await finishOperations(
      this.tx,
      others.map((operation) => operation.id),
      { state: 'Cancelled', message: 'the instance was deleted' },
    );
    await this.writeStatus({
      state: 'Deleted',
      message: '',
      observedGeneration: this.row.generation,
      addresses: [],
    });
    await this.tx
      .updateTable('instances')
      .set({ gone_at: new Date(), user_data: null })
      .where('id', '=', this.row.id)
      .execute();
    await this.event('instance.deleted', `instance ${this.row.name} is deleted`, {}, deletion[0]?.id);
    return { do: 'done' };
  }

  /** Ends every open operation in failure; what exists is left as it is, or is condemned already. */
  private async fail(
    message: string,
    cause: { code: string; field?: string },
    state: 'Failed' | 'Lost' = 'Failed',
  ): Promise<void> {
    const kept = this.intents.some((intent) => intent.state === 'adopted');
    const error: Problem = {
      type: `https://landfall.dev/problems/${cause.code.replace(/[A-Z]/g, (letter, index) => `${index ? '-' : ''}${letter.toLowerCase()}`)}`,
      title: 'The operation failed',
      status: 422,
      detail: message,
      ...(cause.field ? { errors: [{ pointer: cause.field, message }] } : {}),
    };
    await finishOperations(
      this.tx,
      this.operations.map((operation) => operation.id),
      { state: 'Failed', message, error },
    );
    const first = this.operations[0]?.id;
    this.operations = [];
    // A machine that is there keeps the state it was last seen in: a refused resize does not make it failed.
    const before = this.row.status.readyAt && kept && state !== 'Lost' ? this.restingState() : state;
    await this.writeStatus({ state: before, message, observedGeneration: this.row.generation });
    await this.event('instance.failed', `instance ${this.row.name}: ${message}`, { code: cause.code }, first);
  }

  /** It was ready once: it may hold a user's work, and is removed only when the user says so (R11). */
  private isInUse(intent: Intent): boolean {
    return intent.state === 'adopted' && this.row.status.readyAt !== undefined;
  }

  private restingState(): InstanceStatus['state'] {
    return this.row.spec.power === 'stopped' ? 'Stopped' : 'Running';
  }

  private async condemn(intent: Intent, why: string): Promise<void> {
    await condemnIntents(this.tx, this.row.id, [intent.attempt]);
    intent.state = 'removing';
    await this.report(why);
    await this.event('instance.attemptFailed', why, { attempt: intent.attempt, site: intent.site });
  }

  private async condemnAll(why: string): Promise<void> {
    const live = this.intents.filter((intent) => intent.state !== 'removing');
    if (live.length === 0) return;
    await condemnIntents(
      this.tx,
      this.row.id,
      live.map((intent) => intent.attempt),
    );
    for (const intent of live) intent.state = 'removing';
    await progressOperations(
      this.tx,
      this.operations.map((operation) => operation.id),
      why,
    );
  }

  private async report(message: string): Promise<void> {
    await progressOperations(
      this.tx,
      this.operations.map((operation) => operation.id),
      message,
    );
    if (this.row.status.message !== message) await this.writeStatus({ message });
  }

  private async writeStatus(change: Partial<InstanceStatus>): Promise<void> {
    const status = { ...this.row.status, ...change };
    const revision = this.row.revision + 1;
    this.row = {
      ...this.row,
      status,
      revision,
      state: status.state,
      observed_generation: status.observedGeneration,
    };
    await this.tx
      .updateTable('instances')
      .set({
        status: JSON.stringify(status),
        state: status.state,
        observed_generation: status.observedGeneration,
        revision,
        updated_at: new Date(),
      })
      .where('id', '=', this.row.id)
      .execute();
  }

  private async event(
    type: string,
    message: string,
    data: Record<string, unknown>,
    operation?: string,
  ): Promise<void> {
    await appendEvent(this.tx, {
      type,
      organization: this.organization,
      project: this.row.project,
      resource: { kind: 'Instance', id: this.row.id, name: this.row.name },
      operation: operation ?? null,
      actor: 'landfall',
      message,
      data: { ...data, state: this.row.status.state },
    });
  }

  private address(intent: Intent): { queue: string; target: Target } {
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
        since: intent.created_at.toISOString(),
      },
    };
  }

  private want(intent: Intent): WantRef {
    return {
      resource: this.row.id,
      attempt: intent.attempt,
      generation: this.row.generation,
      location: locationOf(intent),
    };
  }
}

function locationOf(intent: Intent): Target['location'] {
  return {
    region: intent.region,
    ...(intent.zone ? { zone: intent.zone } : {}),
    ...(intent.host ? { host: intent.host } : {}),
  };
}

function placeOf(intent: Intent): Partial<InstanceStatus> {
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
