import type { EstateMachine } from './types.ts';

/** How messages name another machine; {@link withoutOthers} knows it again. */
export function machineWords({ name, project }: Pick<EstateMachine, 'name' | 'project'>): string {
  return `machine ${name} of project ${project}`;
}

const aName = '[a-z](?:[-a-z0-9]*[a-z0-9])?';
/** The last two are of messages that were kept before they all said it in one way. */
const named = new RegExp(
  [
    `\\bmachine ${aName} of project (${aName})`,
    `\\b(${aName})/${aName}(?= stands in (?:provider|site|region|zone|host) )`,
    `(?<= stands in one (?:provider|site|region|zone|host) with )${aName} of project (${aName})`,
  ].join('|'),
  'g',
);

/** Whether a text names a machine that is of another project than this. */
export function namesOthers(text: string, project: string): boolean {
  return text.matchAll(named).some((match) => projectOf(match.slice(1)) !== project);
}

/** A message for who sees one project alone: that there is a machine of another, and not which. */
export function withoutOthers(message: string, project: string): string {
  return message.replace(named, (words: string, ...rest: (string | undefined)[]) =>
    projectOf(rest.slice(0, 3)) === project ? words : 'a machine of another project',
  );
}

const projectOf = (groups: (string | undefined)[]): string | undefined =>
  groups.find((group) => group !== undefined);
