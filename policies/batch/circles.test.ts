import { circlesIn } from './circles.ts';
import type { Batch, TogetherSet } from './problem.ts';
import { randomBatch } from './testing/random-batches.ts';

const set = (...beside: number[]): TogetherSet => ({ beside, existing: new Set(), mayBeFirst: true });

/** `sets`: by rule, what each set is to be beside; `own`: by class, its set in each rule. */
function batchOf(sets: TogetherSet[][], own: number[][]): Batch {
  const batch = randomBatch(1, {
    classes: own.length,
    count: 1,
    clouds: 2,
    hosts: 0,
    ownPools: true,
    scarcity: 0,
  });
  return {
    ...batch,
    classes: batch.classes.map((machines, c) => ({
      ...machines,
      together: new Map(own[c]!.map((s, rule) => [rule, [s, -1] as const])),
    })),
    together: sets.map((of, rule) => ({ words: `rule ${rule}`, sets: of })),
  };
}

describe('circles of affinity', () => {
  it('are two sets that are to be with each other, and three in a row that comes back', () => {
    expect(circlesIn(batchOf([[set(1), set(0)]], [[0], [1]]))).toEqual(['rule 0']);
    expect(circlesIn(batchOf([[set(1), set(2), set(0)]], [[0], [1], [2]]))).toEqual(['rule 0']);
  });

  it('are those over two rules whose machines are the same', () => {
    const rules = [
      [set(1), { ...set(), beside: null }],
      [{ ...set(), beside: null }, set(0)],
    ];
    const found = circlesIn(
      batchOf(rules, [
        [0, 0],
        [1, 1],
      ]),
    );
    expect(found).toEqual(['rule 0', 'rule 1']);
  });

  it('are not machines that are to be with their like, nor with others that mind nobody', () => {
    expect(circlesIn(batchOf([[set(0), set(1)]], [[0], [1]]))).toEqual([]);
    expect(circlesIn(batchOf([[set(1), { ...set(), beside: null }]], [[0], [1]]))).toEqual([]);
  });
});
