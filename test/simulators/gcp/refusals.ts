import type { Refusal } from './faults.ts';
import { pathOf, type World } from './world.ts';

/** Something that Compute Engine refuses at once. */
export class Refused extends Error {
  readonly refusal: Refusal;

  constructor(status: number, reason: string, message: string) {
    super(message);
    this.refusal = { status, reason, message };
  }
}

export const notFound = (path: string) =>
  new Refused(404, 'notFound', `The resource '${path}' was not found`);

export const invalid = (message: string) => new Refused(400, 'invalid', message);

export const notReady = (path: string) =>
  new Refused(400, 'resourceNotReady', `The resource '${path}' is not ready`);

/** `what`: Google's word for the kind of thing, e.g. `network`. */
export const inUse = (what: string, path: string, user: string) =>
  new Refused(
    400,
    'resourceInUseByAnotherResource',
    `The ${what} resource '${path}' is already being used by '${pathOf('', user)}'`,
  );

/** The path that a body's field names. @throws Refused when that is not there, or not ready yet. */
export function named(world: World, project: string, link: string): string {
  const path = pathOf(project, link);
  const readiness = world.readiness(path);
  if (readiness === 'absent') throw notFound(path);
  if (readiness === 'making') throw notReady(path);
  return path;
}
