import type { ASTNode } from '@marcbachmann/cel-js';
import { memo } from '../memo.ts';
import { type Atom, type Conditions, type Known, readAtom } from './atoms.ts';
import { baseDomain } from './attributes.ts';
import { intersect } from './domains.ts';

/**
 * The cases in which something holds: it holds in none but these, and perhaps not in all of each. So no cases at
 * all prove that it never holds; one case without conditions says nothing.
 */
export type Cases = readonly Conditions[];

/** Which values of a condition are asked for. */
export type Wanted = 'true' | 'false' | 'notTrue' | 'notFalse';

/** It may always hold. */
export const ANY: Cases = [new Map()];

/** More cases than this are not told apart. */
const MAX_CASES = 100;

/** Work that may be spent on joining cases; when it is used up, nothing more is concluded. */
export class Budget {
  #left: number;
  constructor(joins: number) {
    this.#left = joins;
  }
  /** False when there is not so much left. */
  spend(joins: number): boolean {
    this.#left -= joins;
    return this.#left >= 0;
  }
}

/** Finds the cases in which conditions have a wanted value. */
export class CaseFinder {
  readonly #budget: Budget;
  readonly #atoms = new Map<ASTNode, Atom>();
  /** A condition of a ternary is asked for in four ways, so what was found once is kept. */
  readonly #found = new Map<ASTNode, Partial<Record<Wanted, Cases>>>();

  constructor(budget: Budget) {
    this.#budget = budget;
  }

  find(node: ASTNode, wanted: Wanted): Cases {
    const found = memo<ASTNode, Partial<Record<Wanted, Cases>>>(this.#found, node, () => ({}));
    found[wanted] ??= this.#cases(node, wanted);
    return found[wanted];
  }

  #cases(node: ASTNode, wanted: Wanted): Cases {
    switch (node.op) {
      case '&&': {
        const [a, b] = node.args.map((arg) => () => this.find(arg, wanted)) as [() => Cases, () => Cases];
        return wanted === 'true' || wanted === 'notFalse' ? this.both(a(), b()) : either(a(), b());
      }
      case '||': {
        const [a, b] = node.args.map((arg) => () => this.find(arg, wanted)) as [() => Cases, () => Cases];
        return wanted === 'true' || wanted === 'notFalse' ? either(a(), b()) : this.both(a(), b());
      }
      case '!_':
        return this.find(node.args, OPPOSITE[wanted]);
      case '?:': {
        const [condition, a, b] = node.args;
        const taken = either(
          this.both(this.find(condition, 'true'), this.find(a, wanted)),
          this.both(this.find(condition, 'false'), this.find(b, wanted)),
        );
        if (wanted === 'true' || wanted === 'false') return taken;
        const failed = this.both(this.find(condition, 'notTrue'), this.find(condition, 'notFalse'));
        return either(taken, failed);
      }
      default:
        return this.#ofAtom(node, wanted);
    }
  }

  /** The cases in which both hold. */
  both(a: Cases, b: Cases): Cases {
    if (a.length === 0 || b.length === 0) return [];
    const fewer = a.length < b.length ? a : b;
    // Leaving conditions out adds cases, which is allowed.
    if (a.length * b.length > MAX_CASES * 10 || !this.#budget.spend(a.length * b.length)) return fewer;
    const joined: Conditions[] = [];
    for (const x of a)
      for (const y of b) {
        const together = join(x, y);
        if (together !== null) joined.push(together);
      }
    return joined.length > MAX_CASES ? fewer : joined;
  }

  #ofAtom(node: ASTNode, wanted: Wanted): Cases {
    const atom = memo(this.#atoms, node, () => readAtom(node));
    const values = {
      true: [atom.true],
      false: [atom.false],
      notTrue: [atom.false, atom.error],
      notFalse: [atom.true, atom.error],
    }[wanted];
    return values.flatMap((conditions) => {
      const possible = conditions === null ? null : withinBase(conditions);
      return possible === null ? [] : [possible];
    });
  }
}

const OPPOSITE: Record<Wanted, Wanted> = {
  true: 'false',
  false: 'true',
  notTrue: 'notFalse',
  notFalse: 'notTrue',
};

/** The cases in which one of the two holds. */
export function either(a: Cases, b: Cases): Cases {
  return a.length + b.length > MAX_CASES ? ANY : [...a, ...b];
}

/** Conditions that hold together, or null when they cannot. */
function join(a: Conditions, b: Conditions): Conditions | null {
  const [small, large] = a.size < b.size ? [a, b] : [b, a];
  const joined = new Map(large);
  for (const [key, known] of small) {
    const before = joined.get(key);
    const together = before === undefined ? known : joinKnown(before, known);
    if (together === null) return null;
    joined.set(key, together);
  }
  return joined;
}

function joinKnown(a: Known, b: Known): Known | null {
  if (a.present !== null && b.present !== null && a.present !== b.present) return null;
  const domain =
    a.domain === null || b.domain === null ? (a.domain ?? b.domain) : intersect(a.domain, b.domain);
  if (domain === null && a.domain !== null && b.domain !== null) return null;
  return { present: a.present ?? b.present, domain, attribute: a.attribute ?? b.attribute };
}

/** Conditions with what each attribute can be at all, or null when nothing remains. */
function withinBase(conditions: Conditions): Conditions | null {
  const limited = new Map<string, Known>();
  for (const [key, known] of conditions) {
    const { attribute, domain, present } = known;
    const base = attribute === null || present === false ? null : baseDomain(attribute);
    const both = domain === null || base === null ? domain : intersect(domain, base);
    if (both === null && domain !== null) return null;
    limited.set(key, { ...known, domain: both });
  }
  return limited;
}
