import { packed, unpacked } from './packed.ts';
import { randomBatch } from './testing/random-batches.ts';

const shape = { classes: 5, count: 3, clouds: 4, hosts: 3, ownPools: false, scarcity: 1, together: true };

test('a batch that was packed and handed to another thread is the same batch, and shares what it shared', () => {
  for (let seed = 1; seed <= 50; seed++) {
    const batch = randomBatch(seed, shape);
    const [first] = batch.classes;
    // As `candidates.ts` makes them: one list for many classes, with holes where none of them can go.
    const holes = [...first!.options.cells];
    delete holes[0];
    const given = {
      ...batch,
      classes: [
        ...batch.classes,
        { ...first!, options: { ...first!.options, cells: holes } },
        { ...first!, options: { ...first!.options, cells: holes } },
      ],
    };
    const there = unpacked(structuredClone(packed(given)));
    expect(there).toEqual(given);
    expect(Object.keys(there.classes.at(-1)!.options.cells)).toEqual(Object.keys(holes));
    expect(there.classes.at(-1)!.options.cells).toBe(there.classes.at(-2)!.options.cells);
  }
});
