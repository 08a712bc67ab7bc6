/** Changes of an instance that a person is asked about first, with the price. */
import type { Instance, LandfallClient, Operation } from '@landfall/model';
import { body } from '@landfall/model/answer.ts';
import { pricePerHour, pricePerMonth } from '@landfall/model/quantities.ts';

/** A broker, and the project that is meant where none is named. */
export interface ToolBroker {
  readonly client: LandfallClient;
  readonly project: string;
}

/** What a person is asked before something that costs or destroys. */
export interface Question {
  message: string;
  detail: string;
  /** The button that says yes. */
  button: string;
}

export const powerVerbs = ['start', 'stop', 'reboot'] as const;
export type PowerVerb = (typeof powerVerbs)[number];

/** `$0.0104 an hour, $7.59 a month`; undefined where it has no price. */
export function priceWords(price: {
  pricePerHour?: number;
  pricePerMonth?: number;
  currency?: string;
}): string | undefined {
  const hour = pricePerHour(price.pricePerHour, price.currency);
  const month = pricePerMonth(price.pricePerMonth, price.currency);
  return hour && month ? `${hour} an hour, ${month} a month` : undefined;
}

/** What is asked before a change of power; a reboot costs nothing, but interrupts, so it asks too. */
export function powerQuestion(verb: PowerVerb, { name, status }: Instance): Question {
  const price = priceWords(status);
  switch (verb) {
    case 'start':
      return {
        message: `Start ${name}?`,
        detail: price ? `It costs ${price} while it runs.` : 'Its price is not known.',
        button: 'Start',
      };
    case 'stop':
      return {
        message: `Stop ${name}?`,
        detail: `What runs on it ends; its disk stays.${price ? ` Running, it costs ${price}.` : ''}`,
        button: 'Stop',
      };
    case 'reboot':
      return { message: `Reboot ${name}?`, detail: 'What runs on it is interrupted.', button: 'Reboot' };
  }
}

/** Said before the deletion of what existed before Landfall: who asks may think that only the record goes. */
export function adoptedWords({
  kind,
  status,
}: {
  kind: string;
  status: { adopted?: boolean; externalReference?: string; site?: string };
}): string | undefined {
  const { adopted, externalReference, site } = status;
  if (!adopted || externalReference === undefined) return undefined;
  const disk = kind === 'Instance' ? ', with its disk' : '';
  return `It was adopted: ${externalReference} at site/${site} itself is deleted${disk}. To keep it, release it instead.`;
}

/** Said before the deletion of what was not adopted after all, or not yet. */
export function notAdoptedWords({
  status,
}: {
  status: { state: string; adopted?: boolean; externalReference?: string };
}): string | undefined {
  const { state, adopted, externalReference } = status;
  return adopted && (state === 'Adopting' || externalReference === undefined)
    ? "It is not Landfall's: at its provider it stays as it is."
    : undefined;
}

export function instanceDeletionQuestion(instance: Instance): Question {
  const { name, project, status } = instance;
  const price = priceWords(status);
  const lost =
    notAdoptedWords(instance) ??
    adoptedWords(instance) ??
    'The machine, its disk and all that was made for it are lost.';
  return {
    message: `Delete ${name} of ${project}?`,
    detail: `${lost}${price ? ` It costs ${price} now.` : ''}`,
    button: 'Delete',
  };
}

export async function power(
  { client }: ToolBroker,
  verb: PowerVerb,
  { project, id }: Instance,
): Promise<Operation> {
  return body(
    client.POST(`/v1/projects/{project}/instances/{instance}/${verb}`, {
      params: {
        path: { project, instance: id },
        header: { 'Idempotency-Key': globalThis.crypto.randomUUID() },
      },
    }),
  );
}

/** The id is the machine's own, so that another one of the same name is safe whatever its revision. */
export async function removeInstance({ client }: ToolBroker, { project, id }: Instance): Promise<Operation> {
  return body(
    client.DELETE('/v1/projects/{project}/instances/{instance}', {
      params: { path: { project, instance: id }, header: { 'If-Match': '*' } },
    }),
  );
}
