/**
 * A real broker over a real database, without an engine and workers: what those would write, a test writes, with the events
 * that they would tell of it.
 */
import { instanceInput, TestBroker } from '@landfall/broker/testing/test-broker.ts';
import type { Decision, InstanceStatus, Offer } from '@landfall/model';
import {
  appendEvent,
  finishOperations,
  progressOperations,
  recordDecision,
  requestApproval,
} from '@landfall/store';
import { type FoundViolation, recordViolations } from '@landfall/store/compliance.ts';
import { unreachableAfterSeconds } from '@landfall/store/health.ts';
import { sql } from 'kysely';

const organization = 'default';

/** Where simulated workers put what they make. */
const offer: Offer = {
  site: 'local',
  provider: 'onprem',
  region: 'local',
  zone: 'default',
  host: 'h1',
  instanceType: 'kvm',
  market: 'onDemand',
  vcpus: 1,
  memoryGiB: 1,
  architecture: 'x86_64',
  gpuName: null,
  gpuCount: 0,
  burstable: false,
  pricePerHour: 0.1,
  pricePerMonth: 73,
  currency: 'USD',
  jurisdiction: null,
};

/** A requested instance. */
export interface Requested {
  id: string;
  operation: string;
  name: string;
  project: string;
}

/** The broker, and the hand of a worker. */
export class WorkedBroker {
  readonly api: TestBroker;

  private constructor(api: TestBroker) {
    this.api = api;
  }

  static async start(...options: Parameters<typeof TestBroker.start>): Promise<WorkedBroker> {
    return new WorkedBroker(await TestBroker.start(...options));
  }

  stop(): Promise<void> {
    return this.api.stop();
  }

  /** A request as anyone makes it; it stays Pending. */
  async request(name: string, project = 'default'): Promise<Requested> {
    const { status, body } = await this.api.call('POST', `/v1/projects/${project}/instances`, {
      body: instanceInput(name),
    });
    if (status !== 202) throw new Error(JSON.stringify(body));
    return { id: body.resource.id, operation: body.id, name, project };
  }

  /** A worker's report of an instance. */
  async report(
    { id, name, project }: Requested,
    status: Partial<InstanceStatus>,
    gone = false,
  ): Promise<void> {
    await this.api.store.db.transaction().execute(async (tx) => {
      await sql`
        update instances
           set status = status || ${JSON.stringify(status)}::jsonb, state = coalesce(${status.state ?? null}, state),
               revision = revision + 1, updated_at = now(), gone_at = ${gone ? new Date() : null}
         where id = ${id}`.execute(tx);
      await appendEvent(tx, {
        type: `instance.${(status.state ?? 'changed').toLowerCase()}`,
        organization,
        project,
        resource: { kind: 'Instance', id, name },
        actor: 'landfall',
        message: status.message ?? `instance ${name} is ${status.state}`,
      });
    });
  }

  /** A worker's last report of a volume: Landfall has let go of it. */
  async released({ id, name, project }: Pick<Requested, 'id' | 'name' | 'project'>): Promise<void> {
    const state = 'Released';
    await this.api.store.db.transaction().execute(async (tx) => {
      await tx
        .updateTable('resources')
        .set({ state, status: JSON.stringify({ state, observedGeneration: 1 }), gone_at: new Date() })
        .where('id', '=', id)
        .execute();
      await appendEvent(tx, {
        type: 'volume.released',
        organization,
        project,
        resource: { kind: 'Volume', id, name },
        actor: 'landfall',
        message: `volume ${name} is released`,
      });
    });
  }

  /** Keeps what a plan of this spec says as the decision about the instance. */
  async decide(requested: Requested, spec: object): Promise<Decision> {
    const { id, name, project } = requested;
    const { body: record } = await this.api.call('POST', `/v1/projects/${project}/placements`, {
      body: { name, spec },
    });
    const decision = await recordDecision(this.api.store.db, {
      project,
      resource: id,
      resourceName: name,
      attempt: 1,
      record,
    });
    await this.report(requested, { decision });
    return record;
  }

  /** What an operation does now; no event tells of it. */
  async progress({ operation }: Requested, message: string): Promise<void> {
    await this.api.store.db.transaction().execute((tx) => progressOperations(tx, [operation], message));
  }

  async finish({ operation }: Requested, state: 'Succeeded' | 'Failed' = 'Succeeded'): Promise<void> {
    await this.api.store.db
      .transaction()
      .execute((tx) => finishOperations(tx, [operation], { state, message: state }));
  }

  /** The host's agent was heard of for the last time so long ago that it counts as silent. */
  async silence(host: string): Promise<void> {
    await sql`update hosts set last_seen_at = now() - make_interval(secs => ${unreachableAfterSeconds}) where name = ${host}`.execute(
      this.api.store.db,
    );
  }

  /** Makes these the violations that stand. */
  async violations(...of: Requested[]): Promise<void> {
    const found = of.map(
      ({ id, name, project }): FoundViolation => ({
        resource: id,
        resourceKind: 'Instance',
        resourceName: name,
        project,
        policy: 'eu',
        policyVersion: 'v1',
        rule: 'residency',
        line: 7,
        mode: 'enforce',
        effect: 'require',
        message: 'must stay in the EU',
        owner: `projects/${project}`,
        action: 'report',
        exception: null,
      }),
    );
    await this.api.store.db
      .transaction()
      .execute((tx) => recordViolations(tx, organization, found, new Date()));
  }

  /** An approval that the request waits for; answers its id. */
  async approval({ id, name, project, operation }: Requested, approvers: string[]): Promise<string> {
    const row = await this.api.store.db.transaction().execute((tx) =>
      requestApproval(tx, {
        organization,
        project,
        resource: id,
        resourceName: name,
        generation: 1,
        operation,
        decision: id,
        requestedBy: ['asker'],
        policy: 'spend',
        rule: 'big',
        approvers,
        message: 'over 100 USD a month',
        offer,
        expiresHours: 24,
      }),
    );
    return row.id;
  }

  /** A decision as a worker keeps it: what the plan of the same request says. */
  async decided({ id, name, project }: Requested): Promise<void> {
    const { body } = await this.api.call('GET', `/v1/projects/${project}/instances/${id}`);
    const { image, vcpus, memoryGiB } = body.spec;
    const plan = await this.api.call('POST', `/v1/projects/${project}/placements`, {
      body: { name, spec: { image, vcpus, memoryGiB } },
    });
    await recordDecision(this.api.store.db, {
      project,
      resource: id,
      resourceName: name,
      attempt: 1,
      record: plan.body,
    });
  }

  /** Many running instances at once, without events: as they are when an editor is opened. */
  async fill(project: string, count: number): Promise<void> {
    const status = { state: 'Running', observedGeneration: 1, ...offer, addresses: [] };
    await sql`
      insert into instances (id, project, name, labels, spec, status, state, generation, observed_generation, revision, attempt)
      select gen_random_uuid(), ${project}, 'vm-' || lpad(n::text, 5, '0'), '{}',
             ${JSON.stringify({ image: 'tiny', vcpus: 1, memoryGiB: 1, diskGiB: 1, power: 'running' })}::jsonb,
             ${JSON.stringify(status)}::jsonb, 'Running', 1, 1, 1, 1
        from generate_series(1, ${count}) as n`.execute(this.api.store.db);
  }
}
