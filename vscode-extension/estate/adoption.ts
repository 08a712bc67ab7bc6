/** What exists at a site without Landfall, and how it becomes Landfall's; and the way back. */
import type { Instance, Operation, Schemas } from '@landfall/model';
import { counted, pricePerMonth } from '@landfall/model/quantities.ts';
import { type Candidate, costWords, type Released, whatStays } from 'landfall/client.ts';
import { type BrokerConnection, body } from '../broker/connection.ts';
import type { Question } from './actions.ts';

export type Unmanaged = Schemas['Unmanaged'];
export type AdoptableKind = Schemas['AdoptionInput']['kind'];

const key = () => ({ 'Idempotency-Key': globalThis.crypto.randomUUID() });

/** The kinds that a site adopts, as it says itself. Before its worker has said anything: machines. */
export async function adoptableKinds(
  { client }: BrokerConnection,
  site: string,
): Promise<readonly AdoptableKind[]> {
  const { status } = await body(client.GET('/v1/sites/{site}', { params: { path: { site } } }));
  const { capabilities = [] } = status;
  if (capabilities.length === 0) return ['Instance'];
  return capabilities.filter(({ verbs }) => verbs.adopt === true).map(({ kind }) => kind as AdoptableKind);
}

/** More than these are counted, not named: a question has to be read. */
const named = 15;

export function adoptionQuestion(
  candidates: readonly Candidate[],
  project: string,
  leftOut: number,
): Question {
  const lines = candidates.slice(0, named).map(({ item, name, price }) => {
    const month = pricePerMonth(price?.pricePerMonth, price?.currency);
    const what = item.name === undefined ? item.externalReference : `${item.name}, ${item.externalReference}`;
    return `${name}: ${what} at ${item.site}${month ? `, ${month} a month` : ''}`;
  });
  if (candidates.length > named) lines.push(`… and ${candidates.length - named} more`);
  const cost = costWords(candidates);
  const [only] = candidates.length === 1 ? candidates : [];
  return {
    message: only
      ? `Adopt ${only.item.name ?? only.item.externalReference} into project ${project} as ${only.name}?`
      : `Adopt ${counted(candidates.length, 'resource')} into project ${project}?`,
    detail: [
      ...lines,
      cost.length > 0 ? `It costs what it costs now: ${cost.join(', ')}.` : undefined,
      leftOut > 0 ? `${leftOut} that cannot be adopted ${leftOut === 1 ? 'is' : 'are'} left out.` : undefined,
      'Landfall marks it as its own at the provider, and changes nothing else of it. From then on it is kept as it is, and deleting it deletes the real thing.',
    ]
      .filter((line) => line !== undefined)
      .join('\n'),
    button: 'Adopt',
  };
}

export async function adopt(
  { client, project }: BrokerConnection,
  { item, name }: Candidate,
  user?: string,
): Promise<Operation> {
  const { site, externalReference } = item;
  return body(
    client.POST('/v1/projects/{project}/adoptions', {
      params: { path: { project }, header: key() },
      body: {
        ...{ kind: item.kind as AdoptableKind, site, externalReference, name },
        // Whom one logs in as on an image no provider says.
        ...(item.kind === 'Image' ? { user } : {}),
      },
    }),
  );
}

export function releaseQuestion(item: Released): Question {
  return {
    message: `Release ${item.name} of ${item.project}?`,
    detail: whatStays(item).join('\n'),
    button: 'Release',
  };
}

export function replaceQuestion({ name, project, status }: Instance, image: string | undefined): Question {
  const price = pricePerMonth(status.pricePerMonth, status.currency);
  return {
    message: `Replace ${name} of ${project}?`,
    detail: [
      `Another machine takes its place${image === undefined ? '' : `, made from ${image}`}. What was on the boot disk of the lost one is gone for good; volumes and addresses are attached to the new one.`,
      price && `The lost one cost ${price} a month; the new one costs what its place costs today.`,
    ]
      .filter(Boolean)
      .join('\n'),
    button: 'Replace',
  };
}

/**
 * Has another machine made in its place; `image` and `sshKeys` of one that was adopted, since nobody knows what that was made from.
 * @param validateOnly only asks whether it would be taken. @throws what the broker says against it
 */
export async function replace(
  { client }: BrokerConnection,
  { project, id }: Instance,
  replacement: Schemas['InstanceReplacement'],
  validateOnly = false,
): Promise<Operation | undefined> {
  return body(
    client.POST('/v1/projects/{project}/instances/{instance}/replace', {
      params: { path: { project, instance: id }, query: { validateOnly }, header: key() },
      body: replacement,
    }),
  );
}
