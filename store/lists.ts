import type { Decision, Instance, Operation } from '@landfall/model';
import { sql } from 'kysely';
import { toInstance } from './instances.ts';
import type { Db } from './open.ts';
import { type OperationScope, toOperation } from './operations.ts';
import { field, jsonField, type ListRules, type Paged, type PageRequest, readPage } from './pages.ts';

/** Pages of what the workflows write: instances, operations, decisions; and what metrics count of them. */

const instanceStates = [
  'Pending',
  'Adopting',
  'Provisioning',
  'Running',
  'Starting',
  'Stopping',
  'Stopped',
  'Rebooting',
  'Resizing',
  'Deleting',
  'Deleted',
  'Releasing',
  'Released',
  'Failed',
  'Lost',
];

/** The project's instances that are not gone. */
export async function listInstances(db: Db, project: string, page: PageRequest): Promise<Paged<Instance>> {
  const rules: ListRules = {
    list: `instances of ${project}`,
    fields: {
      name: field('name'),
      state: field('state', 'text', instanceStates),
      site: field('site'),
      provider: jsonField('status', 'provider'),
      region: jsonField('status', 'region'),
      zone: jsonField('status', 'zone'),
      host: jsonField('status', 'host'),
      instanceType: jsonField('status', 'instanceType'),
      market: jsonField('status', 'market'),
      image: jsonField('spec', 'image'),
      power: jsonField('spec', 'power'),
    },
    labels: sql.ref('labels'),
    order: { name: sql.ref('name'), createdAt: sql.ref('created_at'), id: sql.ref('id') },
    defaultOrder: 'createdAt',
  };
  return readPage(
    db.selectFrom('instances').selectAll().where('project', '=', project).where('gone_at', 'is', null),
    rules,
    page,
    toInstance,
  );
}

export async function listOperations(
  db: Db,
  scope: OperationScope,
  page: PageRequest,
): Promise<Paged<Operation>> {
  let query = db.selectFrom('operations').selectAll().where('organization', '=', scope.organization);
  if (scope.project) query = query.where('project', '=', scope.project);
  const rules: ListRules = {
    list: 'operations',
    fields: {
      project: field('project'),
      state: field('state', 'text', ['Pending', 'Running', 'Succeeded', 'Failed', 'Cancelled']),
      verb: field('verb', 'text', [
        'create',
        'adopt',
        'update',
        'start',
        'stop',
        'reboot',
        'resize',
        'delete',
        'release',
        'cancel',
        'expire',
        'repair',
        'replace',
        'audit',
        'comply',
        'refreshPrices',
      ]),
      resource: field('resource_id', 'uuid'),
      resourceName: field('resource_name'),
      requestedBy: field('requested_by'),
    },
    order: { createdAt: sql.ref('created_at'), id: sql.ref('id') },
    defaultOrder: 'createdAt desc',
  };
  return readPage(query, rules, page, toOperation);
}

export async function listDecisions(db: Db, project: string, page: PageRequest): Promise<Paged<Decision>> {
  const rules: ListRules = {
    list: `decisions of ${project}`,
    fields: {
      resource: field('resource', 'uuid'),
      resourceName: field('resource_name'),
      outcome: jsonField('record', 'outcome'),
    },
    order: { createdAt: sql.ref('created_at'), id: sql.ref('id') },
    defaultOrder: 'createdAt desc',
  };
  return readPage(
    db.selectFrom('decisions').selectAll().where('project', '=', project),
    rules,
    page,
    (row) => ({
      ...row.record,
      id: row.id,
      resource: row.resource
        ? { kind: 'Instance', id: row.resource, name: row.resource_name ?? '', project: row.project }
        : null,
      ...(row.attempt === null ? {} : { attempt: row.attempt }),
      createdAt: row.created_at.toISOString(),
    }),
  );
}

/** How many instances are in each state. */
export async function instanceCounts(db: Db): Promise<{ project: string; state: string; count: number }[]> {
  return db
    .selectFrom('instances')
    .select(['project', 'state', sql<number>`count(*)::int`.as('count')])
    .where('gone_at', 'is', null)
    .groupBy(['project', 'state'])
    .execute();
}

/** What the guests of running instances last reported, up to `limit` instances. */
export async function runningInstanceMetrics(
  db: Db,
  limit: number,
): Promise<{ project: string; name: string; metrics: Record<string, number> }[]> {
  return db
    .selectFrom('instances as i')
    .innerJoin('inventory as v', (on) =>
      on.onRef('v.resource', '=', 'i.id').onRef('v.attempt', '=', 'i.attempt'),
    )
    .select(['i.project', 'i.name', sql<Record<string, number>>`v.item #> '{details,metrics}'`.as('metrics')])
    .where('i.gone_at', 'is', null)
    .where('i.state', '=', 'Running')
    .where(sql<boolean>`not (v.item->>'child')::boolean and v.item #> '{details,metrics}' is not null`)
    .orderBy('i.created_at')
    .limit(limit)
    .execute();
}
