import { celRequest } from '../cel/schema.ts';
import { memo } from '../memo.ts';
import { wouldBeChosen } from '../place/chosen-machines.ts';
import type { Circumstances } from '../place/circumstances.ts';
import { domainOf } from '../place/groups.ts';
import { machineWords } from '../place/machine-words.ts';
import type { NeighbourClause } from '../place/neighbours.ts';
import type { EstateMachine } from '../place/types.ts';
import { type Asked, chooser } from './chooser.ts';
import { type Found, type Together, unknownDomain } from './finding.ts';

/** Machines judged between two yields. */
const AT_ONCE = 64;

/** Machines that an expression cannot tell apart, in the order in which they were made. */
interface Alike {
  signature: string;
  machines: EstateMachine[];
}

/** Machines that stand with those they are to be apart from, or away from those they are to be with. */
export function* inWrongCompany(
  clause: Extract<NeighbourClause, { effect: 'affinity' | 'antiAffinity' }>,
  { inOrder, requestOf, now, sites }: Together,
): Generator<void, Found> {
  const chooses = chooser(clause.to, now);
  const byDomain = new Map<string, Map<string, Alike>>();
  const place = new Map<string, number>();
  const all = new Map<string, Alike>();
  const add = (alike: Map<string, Alike>, machine: EstateMachine): void => {
    const signature = chooses.signatureOf(machine);
    memo(alike, signature, () => ({ signature, machines: [] as EstateMachine[] })).machines.push(machine);
  };
  /** Machines of a region whose domain is not known stand in a place of their own. */
  const domainName = (machine: EstateMachine): string | null => {
    const domain = domainOf(machine, clause.by);
    if (domain === null) return `unknown in ${String(domainOf(machine, 'region'))}`;
    return typeof domain === 'string' ? domain : null;
  };
  inOrder.forEach((machine, i) => {
    place.set(machine.id, i);
    add(all, machine);
    const name = domainName(machine);
    if (name !== null)
      add(
        memo(byDomain, name, () => new Map<string, Alike>()),
        machine,
      );
  });
  const judged = inOrder.flatMap((machine) => {
    const request = requestOf(machine);
    return request ? [{ machine, request, asked: chooses.asked(request) }] : [];
  });
  const find = (
    alike: Map<string, Alike> | undefined,
    asked: Asked,
    wanted: (one: EstateMachine) => boolean,
  ): EstateMachine | undefined => {
    for (const { signature, machines } of alike?.values() ?? []) {
      const one = asked(signature, machines[0]!) ? machines.find(wanted) : undefined;
      if (one) return one;
    }
    return undefined;
  };
  const found: Found = new Map();
  let done = 0;
  for (const { machine, request, asked } of judged) {
    if (++done % AT_ONCE === 0) yield;
    const name = domainName(machine);
    const there = name === null ? undefined : byDomain.get(name);
    const unknown = byDomain.get(`unknown in ${String(domainOf(machine, 'region'))}`);
    const other = (one: EstateMachine): boolean => one.id !== machine.id;
    if (domainOf(machine, clause.by) === null) found.set(machine.id, unknownDomain(clause.by));
    else if (clause.effect === 'antiAffinity') {
      // Of two that exclude each other the later one is wrong.
      const isEarlier = (one: EstateMachine): boolean =>
        place.get(one.id)! < place.get(machine.id)! && !found.has(one.id);
      const before = find(there, asked, isEarlier);
      const perhaps = before ? undefined : find(unknown, asked, other);
      if (before) found.set(machine.id, apart(before, clause.by));
      else if (perhaps)
        found.set(machine.id, {
          error: true,
          detail: `the ${clause.by} of ${machineWords(perhaps)} is not known`,
        });
    } else if (!find(there, asked, other)) {
      const context: Circumstances = { request, cel: celRequest(request), now, estate: [], sites };
      if (!find(all, asked, other) && wouldBeChosen(clause.to, context)) continue;
      const detail = `none of the machines it is to be with stands in its ${clause.by}`;
      found.set(machine.id, { error: false, detail });
    }
  }
  if (clause.effect === 'affinity') return found;
  for (const { machine, asked } of judged) {
    if (++done % AT_ONCE === 0) yield;
    if (found.has(machine.id)) continue;
    const name = domainName(machine);
    const isWrongless = (one: EstateMachine): boolean => one.id !== machine.id && !found.has(one.id);
    const after = name === null ? undefined : find(byDomain.get(name), asked, isWrongless);
    if (after) found.set(machine.id, apart(after, clause.by));
  }
  return found;
}

function apart(one: EstateMachine, by: string): { error: boolean; detail: string } {
  return { error: false, detail: `it stands in one ${by} with ${machineWords(one)}` };
}
