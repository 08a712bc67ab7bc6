import type { Batch } from './problem.ts';

/**
 * The rules of affinity by which machines of a batch are to be with others that, over any rules, are to be with them: in a circle.
 * Of those the programme does not know which stand right only by each other, so that the best answer may be missed.
 */
export function circlesIn({ classes, together }: Batch): string[] {
  const first = together.map((_, rule) =>
    together.slice(0, rule).reduce((t, { sets }) => t + sets.length, 0),
  );
  const next = together.flatMap(({ sets }, rule) =>
    sets.map(({ beside }) => new Set((beside ?? []).map((set) => first[rule]! + set))),
  );
  // Machines that are in several sets carry what they are to be with from one to the other.
  for (const { together: own } of classes) {
    const sets = [...own].flatMap(([rule, both]) =>
      both.flatMap((set) => (set < 0 ? [] : [first[rule]! + set])),
    );
    for (const a of sets) for (const b of sets) if (a !== b) next[a]!.add(b);
  }
  const reached = next.map((_, from) => reachedFrom(next, from));
  return together.flatMap(({ words, sets }, rule) => {
    const isRound = sets.some(({ beside }, s) =>
      beside?.some((t) => t !== s && reached[first[rule]! + t]!.has(first[rule]! + s)),
    );
    return isRound ? [words] : [];
  });
}

function reachedFrom(next: readonly ReadonlySet<number>[], from: number): Set<number> {
  const found = new Set<number>();
  const open = [from];
  for (let at = open.pop(); at !== undefined; at = open.pop())
    for (const to of next[at]!)
      if (!found.has(to)) {
        found.add(to);
        open.push(to);
      }
  return found;
}
