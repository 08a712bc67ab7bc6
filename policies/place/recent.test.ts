import { Recent } from './recent.ts';

test('the value unused for longest goes first', () => {
  const recent = new Recent<string>(2);
  recent.set('a', 'A');
  recent.set('b', 'B');
  recent.get('a');
  recent.set('c', 'C');
  expect(['a', 'b', 'c'].map((key) => recent.get(key))).toEqual(['A', undefined, 'C']);
});

test('as many go as weigh what the new one does, and one that weighs too much is kept alone', () => {
  const recent = new Recent<number>(10, (weight) => weight);
  recent.set('a', 4);
  recent.set('b', 4);
  recent.set('c', 6);
  expect(['a', 'b', 'c'].map((key) => recent.get(key))).toEqual([undefined, 4, 6]);
  recent.set('d', 100);
  recent.set('e', 1);
  expect(['b', 'c', 'd', 'e'].map((key) => recent.get(key))).toEqual([undefined, undefined, undefined, 1]);
});
