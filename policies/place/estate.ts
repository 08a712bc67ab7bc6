import { memo } from '../memo.ts';
import type { EstateMachine } from './types.ts';

/**
 * Lists of machines, which are not changed once given, and what rules have found in them. Placing machine after machine makes
 * list after list that differ in little, so that what was found is carried on and not looked for in 10,000 machines again.
 */
export interface Findings {
  /** Makes them the findings of a list without some machines, and with others at its end. */
  change(gone: ReadonlySet<EstateMachine>, come: readonly EstateMachine[]): void;
}

/** A list as one with findings of its own, and the few machines that were put after it. */
export interface Parts {
  standing: readonly EstateMachine[];
  added: readonly EstateMachine[];
}

const findings = new WeakMap<readonly EstateMachine[], Map<string, Findings>>();
const partsKnown = new WeakMap<readonly EstateMachine[], Parts>();

export function partsOf(machines: readonly EstateMachine[]): Parts {
  return partsKnown.get(machines) ?? { standing: machines, added: [] };
}

/** The list with one machine more, which shares the findings of what was there before. */
export function withMachine(
  machines: readonly EstateMachine[],
  machine: EstateMachine,
): readonly EstateMachine[] {
  const { standing, added } = partsOf(machines);
  const longer = Object.freeze([...machines, machine]);
  partsKnown.set(longer, { standing, added: [...added, machine] });
  return longer;
}

/**
 * Says that a list takes the place of an older one: it has the same machines, in any order, but for those `gone` and `come`. The
 * findings move; should the older one be asked again, it is looked through again.
 */
export function takesPlaceOf(
  newer: readonly EstateMachine[],
  older: readonly EstateMachine[],
  gone: readonly EstateMachine[],
  come: readonly EstateMachine[],
): void {
  const known = findings.get(older);
  if (known === undefined || newer === older) return;
  findings.delete(older);
  const without = new Set(gone);
  for (const each of known.values()) each.change(without, come);
  findings.set(newer, known);
}

/** What is found in a list under a key, looked for when first asked. The same key is always for the same kind. */
export function foundIn<F extends Findings>(
  standing: readonly EstateMachine[],
  key: string,
  look: () => F,
): F {
  const known = memo(findings, standing, () => new Map<string, Findings>());
  return memo(known, key, look) as F;
}
