import type { Operation } from '@landfall/model';
import {
  changeInstance,
  createInstance,
  deleteInstance,
  findInstanceId,
  getInstance,
  type InstanceChange,
  releaseInstance,
  replaceInstance,
  specInPlace,
} from '@landfall/store';
import { listInstances } from '@landfall/store/lists.ts';
import { siteQueue } from '@landfall/workflows/client.ts';
import { planPlacement } from '@landfall/workflows/placement.ts';
import type { BrokerParts } from '../broker.ts';
import type { Call, Handlers } from '../handler.ts';
import {
  checkAdmission,
  checkChangeAdmission,
  checkInstancePatch,
  checkInstanceSpec,
} from '../instance-checks.ts';
import { Problem } from '../problems.ts';

/** 202: committed, and where to look. */
export function accepted(operation: Operation, revision?: number) {
  return {
    status: 202 as const,
    headers: { 'operation-location': `/v1/operations/${operation.id}` },
    revision,
    body: operation,
  };
}

type ActCall = Call<'startInstance' | 'stopInstance' | 'rebootInstance' | 'resizeInstance'>;

/** start, stop, reboot and resize: one change of what is wanted, If-Match where the caller cares. */
async function act(
  call: ActCall,
  { db }: BrokerParts,
  verb: InstanceChange['verb'],
  patch?: InstanceChange['patch'],
) {
  const { params, query, ifMatch, requester } = call;
  const { instance, operation } = await changeInstance(db, {
    ...requester,
    ...params,
    verb,
    patch,
    ifMatch: ifMatch ?? null,
    validateOnly: query.validateOnly,
  });
  return operation ? accepted(operation, instance.revision) : ({ status: 204 } as const);
}

export const instanceHandlers = {
  async listInstances({ params, query }, { db }) {
    return { status: 200, body: await listInstances(db, params.project, query) };
  },

  async createInstance({ principal, params, body, query, requester }, { db }) {
    const { organization } = principal;
    const { project } = params;
    const { name, spec, labels = {} } = body;
    const subject = { organization, project, name, labels, spec };
    await checkInstanceSpec(db, organization, project, spec);
    await checkAdmission(db, subject);
    if (query.validateOnly) {
      if (await findInstanceId(db, project, name)) {
        throw new Problem('conflict', `Project ${project} already has an instance named ${name}.`, {
          errors: [{ pointer: '/name', message: 'is taken', value: name }],
        });
      }
      return {
        status: 200,
        body: await planPlacement(db, subject, { includeUnconfigured: false }),
      };
    }
    const { instance, operation } = await createInstance(db, { ...requester, project, name, labels, spec });
    return accepted(operation, instance.revision);
  },

  async getInstance({ params }, { db }) {
    return { status: 200, body: await getInstance(db, params.project, params.instance) };
  },

  async updateInstance({ principal, params, body, query, ifMatch, requester }, { db }) {
    checkInstancePatch(body);
    const before = await getInstance(db, params.project, params.instance);
    await checkChangeAdmission(db, principal.organization, before, body);
    const { instance, operation } = await changeInstance(db, {
      ...requester,
      ...params,
      verb: 'update',
      patch: body,
      ifMatch: ifMatch!,
      validateOnly: query.validateOnly,
    });
    return operation ? accepted(operation, instance.revision) : { status: 200, body: instance };
  },

  async deleteInstance({ params, query, ifMatch, requester }, { db }) {
    const { instance, operation } = await deleteInstance(db, {
      ...requester,
      ...params,
      ifMatch: ifMatch!,
      validateOnly: query.validateOnly,
    });
    return operation && !query.validateOnly ? accepted(operation, instance.revision) : { status: 204 };
  },

  startInstance: (call, broker) => act(call, broker, 'start'),
  stopInstance: (call, broker) => act(call, broker, 'stop'),
  rebootInstance: (call, broker) => act(call, broker, 'reboot'),
  resizeInstance: (call, broker) => act(call as ActCall, broker, 'resize', { spec: call.body }),

  async replaceInstance({ principal, params, body, query, ifMatch, requester }, { db }) {
    const { spec, status } = await getInstance(db, params.project, params.instance);
    if (status.adopted && body.image !== undefined)
      await checkInstanceSpec(
        db,
        principal.organization,
        params.project,
        specInPlace({ spec, status }, body),
        '',
      );
    const { instance, operation } = await replaceInstance(db, {
      ...requester,
      ...params,
      replacement: body,
      ifMatch: ifMatch ?? null,
      validateOnly: query.validateOnly,
    });
    return operation && !query.validateOnly
      ? accepted(operation, instance.revision)
      : ({ status: 204 } as const);
  },

  async releaseInstance({ params, query, ifMatch, requester }, { db }) {
    const { instance, operation } = await releaseInstance(db, {
      ...requester,
      ...params,
      ifMatch: ifMatch ?? null,
      validateOnly: query.validateOnly,
    });
    return operation && !query.validateOnly ? accepted(operation, instance.revision) : { status: 204 };
  },

  async getInstanceConsole({ params, query }, { db, signals, installation }) {
    const { id, name, project, status } = await getInstance(db, params.project, params.instance);
    if (
      status.site === undefined ||
      status.region === undefined ||
      status.attempt === undefined ||
      status.externalReference === undefined
    ) {
      throw new Problem(
        'conflict',
        `Instance ${name} is ${status.state} and has no machine, so no console, yet.`,
      );
    }
    if (!(await signals.ready()))
      throw new Problem(
        'unavailable',
        'The workflow engine is away for now, and consoles are read through it.',
        { headers: { 'retry-after': '5' } },
      );
    try {
      const text = await signals.readConsole({
        queue: siteQueue(status.site, status.host),
        target: {
          kind: 'Instance',
          stamp: { broker: installation, project, resource: id, attempt: status.attempt },
          location: {
            region: status.region,
            ...(status.zone ? { zone: status.zone } : {}),
            ...(status.host ? { host: status.host } : {}),
          },
          ref: status.externalReference,
        },
        maxBytes: query.maxBytes ?? 16_384,
      });
      return { status: 200, body: { text } };
    } catch (error) {
      throw new Problem(
        'unavailable',
        `The console of ${name} could not be read at site ${status.site}${status.host ? `, host ${status.host}` : ''}.`,
        { headers: { 'retry-after': '5' }, cause: error },
      );
    }
  },
} satisfies Partial<Handlers>;
