import { interpret } from '../cel/columnar.ts';
import { celResource, EVALUATION, reads } from '../cel/schema.ts';
import { memo } from '../memo.ts';
import { askedFor, chosenMachines } from '../place/chosen-machines.ts';
import type { Circumstances } from '../place/circumstances.ts';
import type { CompiledRule } from '../place/compiled.ts';
import type { EstateMachine, PlacementRequest } from '../place/types.ts';
import type { TogetherRule, TogetherSet } from './problem.ts';

/** One kind of request, how many machines of it there are, and whether the rule has a say over it. */
export interface Member {
  context: Circumstances;
  count: number;
  held: boolean;
}

/** A rule by which machines of a batch are to be with others of it. */
export interface Affinity {
  rule: CompiledRule;
  /** By kind: the rule has a say over it, and would have it with another machine of the batch. */
  isDrawn: boolean[];
  /** By kind: those that it is to be with, of the batch. */
  chosen: readonly (readonly number[])[];
  /** By kind: some machine would do that exists, or it may be the first. */
  canBegin: boolean[];
  together: TogetherRule;
  /** By kind: its set where the rule has a say, and where not; -1 = none. */
  setsOf: (readonly [held: number, free: number])[];
}

/** Machines that are alike to a rule. */
interface Look {
  member: Member;
  machine: ReturnType<typeof celResource>;
  /** How many machines look so. */
  count: number;
  kinds: number[];
}

/**
 * How an affinity rule couples the machines of a batch; null: it has none with another of the batch. A machine of the batch has no
 * place yet, so `to` sees an empty site, region, … of it. `domainOf`: a number for where a machine is that exists; null: not known,
 * or its own.
 */
export function affinityOf(
  rule: CompiledRule,
  members: readonly Member[],
  now: Date,
  domainOf: (machine: EstateMachine) => number | null,
): Affinity | null {
  const { clause } = rule;
  if (clause.effect !== 'affinity') throw new TypeError(`${rule.rule} is no affinity rule`);
  const looks = looksOf(clause.to, members, now);
  const test = interpret(clause.to);
  const chosen = looks.map(({ member }) =>
    member.held
      ? looks.flatMap(({ machine }, other) =>
          test(member.context.cel, {}, machine) === 'true' ? [other] : [],
        )
      : [],
  );
  const isDrawn = looks.map(
    (_, a) => chosen[a]!.reduce((t, b) => t + looks[b]!.count, chosen[a]!.includes(a) ? -1 : 0) > 0,
  );
  if (!isDrawn.includes(true)) return null;
  const standing = looks.map(({ member }, a) =>
    isDrawn[a] ? chosenMachines(clause.to, member.context) : [],
  );
  const domains = standing.map((machines) => new Set(machines.flatMap((machine) => domainOf(machine) ?? [])));
  const mayBeFirst = looks.map((_, a) => standing[a]!.length === 0 && chosen[a]!.includes(a));
  const choosers = looks.map((_, b) => [...looks.keys()].filter((a) => isDrawn[a] && chosen[a]!.includes(b)));

  /** Looks that are drawn to the same, and that the same are drawn to, are one set. */
  const sets: { look: number; held: boolean }[] = [];
  const known = new Map<string, number>();
  const setOf = (look: number, held: boolean): number => {
    if (held ? !isDrawn[look] : choosers[look]!.length === 0) return -1;
    const own = held ? [chosen[look], [...domains[look]!], mayBeFirst[look]] : null;
    return memo(known, JSON.stringify([choosers[look], own]), () => sets.push({ look, held }) - 1);
  };
  const isPartly = (rule.gate?.offerAttributes.size ?? 0) > 0 || rule.missing === 'pass';
  const ofLook = looks.map(
    (_, look) => [setOf(look, true), isDrawn[look] && !isPartly ? -1 : setOf(look, false)] as const,
  );
  const together: TogetherSet[] = sets.map(({ look, held }) => ({
    beside: held ? [...new Set(chosen[look]!.flatMap((b) => ofLook[b]!))].filter((set) => set >= 0) : null,
    existing: held ? domains[look]! : new Set(),
    mayBeFirst: held && mayBeFirst[look]!,
  }));
  const lookOf = members.map(() => -1);
  for (const [look, { kinds }] of looks.entries()) for (const kind of kinds) lookOf[kind] = look;
  const words = `affinity ${rule.policy}/${rule.rule}: in one ${clause.by} with what it is to be with`;
  return {
    rule,
    isDrawn: lookOf.map((look) => isDrawn[look]!),
    chosen: lookOf.map((look) => chosen[look]!.flatMap((other) => looks[other]!.kinds)),
    canBegin: lookOf.map((look) => isPartly || standing[look]!.length > 0 || mayBeFirst[look]!),
    together: { words, sets: together },
    setsOf: lookOf.map((look) => ofLook[look]!),
  };
}

function looksOf(to: string, members: readonly Member[], now: Date): Look[] {
  const { request: asked, resource: seen } = reads(EVALUATION.parse(to).ast);
  const looks = new Map<string, Look>();
  for (const [kind, member] of members.entries()) {
    const { request } = member.context;
    const machine = askedFor(request, now);
    const values = [...asked].map((name) => request[name as keyof PlacementRequest]);
    const own = [...seen].map((name) => (machine as unknown as Record<string, unknown>)[name]);
    const key = JSON.stringify([member.held, member.held ? values : null, own]);
    const look = memo(looks, key, () => ({
      member,
      machine: celResource(machine, now),
      count: 0,
      kinds: [],
    }));
    look.count += member.count;
    look.kinds.push(kind);
  }
  return [...looks.values()];
}

/**
 * For each kind, the rules by which it waits for machines of the batch that cannot be there before it: those it is to be with
 * are not to be without others either, and so on, and none of them may be the first.
 */
export function waitsForever(rules: readonly Affinity[], kinds: number): CompiledRule[][] {
  const can = new Array<boolean>(kinds).fill(false);
  const waits = (c: number, { isDrawn, canBegin, chosen }: Affinity): boolean =>
    isDrawn[c]! && !canBegin[c] && !chosen[c]!.some((other) => can[other]);
  for (let found = true; found; ) {
    found = false;
    for (let c = 0; c < kinds; c++) {
      if (can[c] || rules.some((rule) => waits(c, rule))) continue;
      can[c] = true;
      found = true;
    }
  }
  return can.map((is, c) => (is ? [] : rules.filter((rule) => waits(c, rule)).map(({ rule }) => rule)));
}
