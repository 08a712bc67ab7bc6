/** What can be done to the estate: what is asked before, and the request itself. */
import {
  adoptedWords,
  instanceDeletionQuestion,
  notAdoptedWords,
  priceWords,
  type Question,
  removeInstance,
} from '@landfall/mcp/changes.ts';
import type { Decision, Instance, Operation, Schemas } from '@landfall/model';
import { gib } from '@landfall/model/quantities.ts';
import { type BrokerConnection, body } from '../broker/connection.ts';
import { type Plain, type PlainKind, type Resource, type ResourceKind, resourcePath } from './kinds.ts';

export {
  type PowerVerb,
  power,
  powerQuestion,
  priceWords,
  type Question,
} from '@landfall/mcp/changes.ts';

/** A machine's size; its disk where that grows too. */
export interface Size {
  vcpus: number;
  memoryGiB: number;
  diskGiB?: number;
}

/** `2 vCPU, 4 GiB, 20 GiB disk`. */
export const sizeWords = ({ vcpus, memoryGiB, diskGiB }: Size): string =>
  `${vcpus} vCPU, ${gib(memoryGiB)}${diskGiB === undefined ? '' : `, ${gib(diskGiB)} disk`}`;

/** What goes with each kind. Landfall knows the prices of machines only, so of the others the question says that it names none. */
const losses: Record<ResourceKind | PlainKind, string> = {
  Volume: 'What is on it is lost.',
  Snapshot: 'What it keeps is lost; the volume that it was made from stays.',
  Network: 'Its subnets go with it. It is refused while a machine or a firewall is in it.',
  Firewall: 'Its rules no longer let anything in.',
  Address: 'The address goes back to its provider; another one will not be the same.',
  CustomImage: 'Nothing can be made from it any more; machines that were stay.',
  SshKey: 'Machines that have it keep it.',
  Image: 'Nothing can be made from it any more; machines that were stay.',
  PlacementPolicy: 'Its rules hold no longer, for requests and for machines that run.',
};

export type Deletable = Instance | Resource | Plain;

export function deletionQuestion(subject: Deletable): Question {
  if (subject.kind === 'Instance') return instanceDeletionQuestion(subject);
  const { kind, name } = subject;
  const project = 'project' in subject ? ` of ${subject.project}` : '';
  const message = `Delete the ${kindWords(kind)} ${name}${project}?`;
  const kept = 'status' in subject ? notAdoptedWords(subject) : undefined;
  if (kept) return { message, detail: kept, button: 'Delete' };
  const adopted = 'status' in subject ? adoptedWords(subject) : undefined;
  return {
    message,
    detail: [
      adopted,
      losses[kind],
      billed.has(kind) && 'Landfall has no price for it; its provider stops charging for it.',
    ]
      .filter(Boolean)
      .join(' '),
    button: 'Delete',
  };
}

/** Kinds that a provider bills by themselves. */
const billed = new Set<string>(['Volume', 'Snapshot', 'Address', 'CustomImage']);

/** `custom image`, for a sentence. */
const kindWords = (kind: ResourceKind | PlainKind): string =>
  ({ CustomImage: 'custom image', SshKey: 'SSH key', PlacementPolicy: 'policy' })[kind as string] ??
  kind.toLowerCase();

/** What can be at a machine. */
export type Attachable = Schemas['Volume'] | Schemas['Address'];

export function detachQuestion({ kind, name, spec }: Attachable): Question {
  return {
    message: `Detach the ${kindWords(kind)} ${name} from ${spec.attachedTo}?`,
    detail:
      kind === 'Volume'
        ? 'What has it mounted there loses it; what is on it stays.'
        : 'What reaches the machine by it no longer does.',
    button: 'Detach',
  };
}

export function growQuestion({ name, spec, status }: Schemas['Volume'], sizeGiB: number): Question {
  return {
    message: `Grow the volume ${name} from ${gib(status.sizeGiB ?? spec.sizeGiB)} to ${gib(sizeGiB)}?`,
    detail:
      'It cannot be made smaller again. Landfall has no price for volumes; its provider charges for every GiB.',
    button: 'Grow',
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
export async function remove(
  connection: BrokerConnection,
  subject: Deletable,
): Promise<Operation | undefined> {
  const { client } = connection;
  const header = { 'If-Match': '*' };
  switch (subject.kind) {
    case 'Instance':
      return removeInstance(connection, subject);
    case 'SshKey': {
      const path = { project: subject.project, sshKey: subject.name };
      return body(client.DELETE('/v1/projects/{project}/sshKeys/{sshKey}', { params: { path, header } }));
    }
    case 'Image':
      return body(client.DELETE('/v1/images/{image}', { params: { path: { image: subject.name }, header } }));
    case 'PlacementPolicy':
      return body(
        client.DELETE('/v1/policies/{policy}', { params: { path: { policy: subject.name }, header } }),
      );
    default: {
      const path = { project: subject.project, resource: subject.id };
      return body(client.DELETE(resourcePath(subject.kind), { params: { path, header } }));
    }
  }
}

/** Attaches (null: detaches) or grows. Answers the thing itself where it is so already. */
export async function change(
  { client }: BrokerConnection,
  { kind, project, id }: Attachable,
  spec: { attachedTo?: string | null; sizeGiB?: number },
): Promise<Operation | Attachable> {
  return body(
    client.PATCH(resourcePath(kind), {
      params: { path: { project, resource: id }, header: { 'If-Match': '*' } },
      body: { spec },
      headers: { 'Content-Type': 'application/merge-patch+json' },
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
