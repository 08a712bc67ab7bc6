/** Read-only texts about things of the estate: what they are, what happened to them, what an operation did. */
import { stripVTControlCharacters } from 'node:util';
import type { Event, Operation, Schemas } from '@landfall/model';
import { duration, stepRows } from '@landfall/model/operation-steps.ts';
import { stringify } from 'yaml';
import { type BrokerConnection, body, bodyIfFound } from '../broker/connection.ts';
import { isOpen } from './estate.ts';
import { isResourceKind, resourcePath } from './kinds.ts';

/** Which text about which thing. */
export interface DocumentName {
  what: 'yaml' | 'events' | 'console' | 'timeline';
  kind: string;
  /** Of instances and resources the project, of hosts the site, else empty. */
  within: string;
  /** The id; of sites, hosts and projects the name. */
  id: string;
}

/** So many events at most, the newest. */
const mostEvents = 500;

/** Reads it. Throws what the broker says. */
export async function readDocument(connection: BrokerConnection, name: DocumentName): Promise<string> {
  switch (name.what) {
    case 'yaml':
      return yamlText(await subjectOf(connection, name));
    case 'events':
      return eventsText(await eventsOf(connection, name.id));
    case 'console': {
      const { text } = await body(
        connection.client.GET('/v1/projects/{project}/instances/{instance}/console', {
          params: { path: { project: name.within, instance: name.id }, query: { maxBytes: 49_152 } },
        }),
      );
      // Guests colour their lines and ask where the cursor is: in a document that is noise.
      return stripVTControlCharacters(text) || 'Nothing has been written to the serial console.\n';
    }
    case 'timeline': {
      const operation = (await subjectOf(connection, name)) as Operation;
      const [events, steps] = await Promise.all([
        operation.resource ? eventsOf(connection, operation.resource.id) : [],
        // An older broker does not have them.
        bodyIfFound(
          connection.client.GET('/v1/operations/{operation}/steps', {
            params: { path: { operation: operation.id } },
          }),
        ),
      ]);
      return timelineText(operation, events, steps?.items ?? [], Date.now());
    }
  }
}

async function subjectOf({ client }: BrokerConnection, { kind, within, id }: DocumentName): Promise<unknown> {
  if (isResourceKind(kind))
    return body(client.GET(resourcePath(kind), { params: { path: { project: within, resource: id } } }));
  switch (kind) {
    case 'Instance':
      return body(
        client.GET('/v1/projects/{project}/instances/{instance}', {
          params: { path: { project: within, instance: id } },
        }),
      );
    case 'Site':
      return body(client.GET('/v1/sites/{site}', { params: { path: { site: id } } }));
    case 'Host':
      return body(
        client.GET('/v1/sites/{site}/hosts/{host}', { params: { path: { site: within, host: id } } }),
      );
    case 'SshKey':
      return body(
        client.GET('/v1/projects/{project}/sshKeys/{sshKey}', {
          params: { path: { project: within, sshKey: id } },
        }),
      );
    case 'Image':
      return body(client.GET('/v1/images/{image}', { params: { path: { image: id } } }));
    case 'PlacementPolicy':
      return body(client.GET('/v1/policies/{policy}', { params: { path: { policy: id } } }));
    case 'Project':
      return body(client.GET('/v1/projects/{project}', { params: { path: { project: id } } }));
    case 'Operation':
      return body(client.GET('/v1/operations/{operation}', { params: { path: { operation: id } } }));
    case 'Violation':
      return body(client.GET('/v1/violations/{violation}', { params: { path: { violation: id } } }));
    case 'Approval':
      return body(client.GET('/v1/approvals/{approval}', { params: { path: { approval: id } } }));
    default:
      throw new Error(`There is no ${kind} to show.`);
  }
}

/** A policy is its file, as it was put in force; everything else is what the broker answers. */
function yamlText(subject: unknown): string {
  const { kind, source } = subject as { kind?: string; source?: string };
  return kind === 'PlacementPolicy' && source !== undefined ? source : stringify(subject, { lineWidth: 0 });
}

/** What happened to a resource, oldest first. */
async function eventsOf({ client }: BrokerConnection, resource: string): Promise<Event[]> {
  const { items } = await body(
    client.GET('/v1/events', {
      params: { query: { filter: `resource=${resource}`, pageSize: mostEvents } },
    }),
  );
  return items.reverse();
}

/** One line for each event. */
export function eventsText(events: readonly Event[]): string {
  if (events.length === 0) return 'Nothing is kept of what happened to it.\n';
  const width = Math.max(...events.map(({ type }) => type.length));
  const lines = events.map(
    ({ time, type, message, actor }) =>
      `${time.slice(0, 19).replace('T', ' ')}  ${type.padEnd(width)}  ${message}${actor && actor !== 'landfall' ? `  (${actor})` : ''}`,
  );
  const more = events.length === mostEvents ? `Only the newest ${mostEvents} are shown.\n` : '';
  return `${more}${lines.join('\n')}\n`;
}

/**
 * What an operation did, from start to end: what happened, and between it each step at a provider with its calls, retries and
 * compensations.
 */
export function timelineText(
  operation: Operation,
  events: readonly Event[],
  steps: readonly Schemas['OperationStep'][],
  now: number,
): string {
  const { verb, resource, state, message, requestedBy, createdAt, startedAt, finishedAt } = operation;
  const begin = Date.parse(createdAt);
  // Events are written with what they report: those of the end within the second after it.
  const end = finishedAt ? Date.parse(finishedAt) + 1_000 : now;
  const rows: [number, string, string][] = [[begin, `${requestedBy ?? 'someone'} asked for it`, '']];
  if (startedAt) rows.push([Date.parse(startedAt), 'work on it began', '']);
  for (const event of events) {
    const at = Date.parse(event.time);
    const own = event.operation === operation.id;
    const others = event.operation !== null && event.operation !== undefined && !own;
    if (others || (!own && (at < begin || at > end)) || event.type.endsWith('Requested')) continue;
    rows.push([at, event.message, providerCall(event)]);
  }
  for (const { at, step, provider } of stepRows(steps)) rows.push([at, step, provider]);
  if (finishedAt) rows.push([Date.parse(finishedAt), `${state}: ${message}`, '']);
  else rows.push([now, `${state}: ${message || 'nothing is told yet'}`, '']);
  // Of equal times, the order they were told in.
  rows.sort((a, b) => a[0] - b[0]);
  const offsets = rows.map(([at]) => `+${duration(at - begin)}`);
  const stepWidth = Math.min(90, Math.max(...rows.map(([, step]) => step.length), 'Step'.length));
  const offsetWidth = Math.max(...offsets.map((each) => each.length));
  const line = (when: string, step: string, call: string): string =>
    `${when.padEnd(offsetWidth)}  ${step.padEnd(stepWidth)}  ${call}`.trimEnd();
  return [
    `${verb} ${resource ? `${resource.kind} ${resource.name}` : ''}`.trimEnd(),
    `Operation ${operation.id}, asked for ${createdAt.slice(0, 19).replace('T', ' ')} UTC, ${isOpen(operation) ? 'goes on' : `took ${duration(Date.parse(finishedAt ?? createdAt) - begin)}`}`,
    '',
    line('After', 'Step', 'Provider'),
    ...rows.map(([, step, call], index) => line(offsets[index]!, step, call)),
    ...(operation.error ? ['', `Error: ${operation.error.title}`, operation.error.detail ?? ''] : []),
    '',
  ].join('\n');
}

/** What an event says of the provider. */
function providerCall({ type, data }: Event): string {
  const { attempt, site, ref } = (data ?? {}) as { attempt?: number; site?: string; ref?: string };
  if (attempt === undefined) return '';
  const where = site ? `${site}, ` : '';
  const what = type.slice(type.indexOf('.') + 1);
  switch (what) {
    case 'placed':
      return `${where}attempt ${attempt}: create`;
    case 'attemptFailed':
      return `${where}attempt ${attempt}: failed, what it made is removed`;
    case 'removed':
      return `${where}attempt ${attempt}: removed`;
    default:
      return `${where}attempt ${attempt}: ${what}${ref ? ` ${ref}` : ''}`;
  }
}
