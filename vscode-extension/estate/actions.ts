/** What can be done to the estate: what is asked before, and the request itself. */
import {
  adoptedWords,
  instanceDeletionQuestion,
  priceWords,
  type Question,
  removeInstance,
} from '@landfall/mcp/changes.ts';
import type { Decision, Instance, Operation, Schemas } from '@landfall/model';
import { gib } from '@landfall/model/quantities.ts';
import { type BrokerConnection, body } from '../broker/connection.ts';
import { type Resource, resourceKinds, resourcePath } from './kinds.ts';

export {
  type PowerVerb,
  power,
  powerQuestion,
  priceWords,
  type Question,
} from '@landfall/mcp/changes.ts';

/** A machine's size. */
export interface Size {
  vcpus: number;
  memoryGiB: number;
}

/** `2 vCPU, 4 GiB`. */
export const sizeWords = ({ vcpus, memoryGiB }: Size): string => `${vcpus} vCPU, ${gib(memoryGiB)}`;

export function deletionQuestion(subject: Instance | Resource): Question {
  if (subject.kind === 'Instance') return instanceDeletionQuestion(subject);
  const { kind, name, project } = subject;
  return {
    message: `Delete the ${kind} ${name} of ${project}?`,
    detail: adoptedWords(subject) ?? 'What is in it is lost.',
    button: 'Delete',
  };
}

/** What a change of size costs, by the plan that was made for it. */
export function resizeQuestion(instance: Instance, size: Size, plan: Decision | undefined): Question {
  const before = priceWords(instance.status);
  const after = plan?.winner ? priceWords(plan.winner) : undefined;
  return {
    message: `Resize ${instance.name} to ${sizeWords(size)}?`,
    detail: [
      after ? `It then costs ${after}.` : 'What it then costs is not known.',
      before ? `Now it costs ${before}.` : undefined,
      'It may be restarted.',
    ]
      .filter(Boolean)
      .join(' '),
    button: 'Resize',
  };
}

/** Sizes to choose from: the usual ones around that of now. */
export const usualSizes: readonly Size[] = [1, 2, 4, 8, 16, 32].flatMap((vcpus) =>
  [1, 2, 4, 8].map((each) => ({ vcpus, memoryGiB: vcpus * each })),
);

/** Where the machine would land with that size, in its own zone; undefined for one whose image is not known. */
export async function planSize(
  { client }: BrokerConnection,
  { name, project, labels, spec, status }: Instance,
  size: Size,
): Promise<Decision | undefined> {
  if (spec.image === undefined) return undefined;
  const { reboots: _, userDataDigest: __, instanceType: ___, ...wanted } = spec;
  const { site, region, zone, host } = status;
  const one = (value: string | undefined): string[] | undefined =>
    value === undefined ? undefined : [value];
  return body(
    client.POST('/v1/projects/{project}/placements', {
      params: { path: { project } },
      body: {
        name,
        labels,
        spec: {
          ...wanted,
          image: spec.image,
          ...size,
          placement: {
            ...spec.placement,
            sites: one(site),
            regions: one(region),
            zones: one(zone),
            hosts: one(host),
          },
        },
      },
    }),
  );
}

const key = () => ({ 'Idempotency-Key': globalThis.crypto.randomUUID() });

export async function resize(
  { client }: BrokerConnection,
  { project, id }: Instance,
  size: Size,
): Promise<Operation> {
  return body(
    client.POST('/v1/projects/{project}/instances/{instance}/resize', {
      params: { path: { project, instance: id }, header: key() },
      body: size,
    }),
  );
}

/** The id is the thing's own, so that another one of the same name is safe whatever its revision. */
export async function remove(connection: BrokerConnection, subject: Instance | Resource): Promise<Operation> {
  if (subject.kind === 'Instance') return removeInstance(connection, subject);
  const { project, id, kind } = subject;
  return body(
    connection.client.DELETE(resourcePath(kind), {
      params: { path: { project, resource: id }, header: { 'If-Match': '*' } },
    }),
  );
}

export async function cancel({ client }: BrokerConnection, { id }: Operation): Promise<Operation> {
  return body(
    client.POST('/v1/operations/{operation}/cancel', {
      params: { path: { operation: id }, header: key() },
    }),
  );
}

export async function approve(
  { client }: BrokerConnection,
  { id }: Schemas['Approval'],
  reason: string | undefined,
): Promise<Schemas['Approval']> {
  return body(
    client.POST('/v1/approvals/{approval}/approve', {
      params: { path: { approval: id }, header: key() },
      body: reason ? { reason } : {},
    }),
  );
}

export async function reject(
  { client }: BrokerConnection,
  { id }: Schemas['Approval'],
  reason: string,
): Promise<Schemas['Approval']> {
  return body(
    client.POST('/v1/approvals/{approval}/reject', {
      params: { path: { approval: id }, header: key() },
      body: { reason },
    }),
  );
}

export async function acknowledge(
  { client }: BrokerConnection,
  { id }: Schemas['Violation'],
  reason: string,
): Promise<Schemas['Violation']> {
  return body(
    client.POST('/v1/violations/{violation}/acknowledge', {
      params: { path: { violation: id }, header: key() },
      body: { reason },
    }),
  );
}

export async function checkCompliance({ client }: BrokerConnection): Promise<Operation> {
  return body(client.POST('/v1/complianceRuns', { params: { header: key() } }));
}

/** What a person calls it, for a message. */
export function calledOf(subject: { kind: string; name?: string }): string {
  const kind = subject.kind in resourceKinds ? `${subject.kind} ` : '';
  return `${kind}${subject.name ?? ''}`;
}
