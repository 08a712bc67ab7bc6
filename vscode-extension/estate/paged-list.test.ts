import { type ListChange, type Page, PagedList } from './paged-list.ts';

interface Item {
  key: string;
  state: string;
}

/** A list whose pages come when the test lets them. */
function held() {
  const asked: { pageToken?: string; answer: (page: Page<Item>) => void; fail: (error: Error) => void }[] =
    [];
  const changes: ListChange<Item>[] = [];
  const list = new PagedList<Item>(
    {
      key: ({ key }) => key,
      compare: (a, b) => (a.key < b.key ? -1 : 1),
      holds: ({ state }) => state !== 'gone',
      read: ({ pageToken }) => new Promise((answer, fail) => asked.push({ pageToken, answer, fail })),
    },
    new AbortController().signal,
    (change) => changes.push(change),
  );
  return { list, asked, changes };
}

const item = (key: string, state = 'old'): Item => ({ key, state });
const turn = () => new Promise((resolve) => setImmediate(resolve));

test('looks at the same time share one request', async () => {
  const { list, asked } = held();
  const looks = [list.load(), list.load(), list.load()];
  await turn();
  asked[0]!.answer({ items: [item('a')] });
  await Promise.all(looks);
  expect(asked).toHaveLength(1);
});

test('what changes while a page is under way is not lost to the page, which may be from before', async () => {
  const { list, asked } = held();
  const look = list.load();
  await turn();
  list.apply(
    new Map([
      ['a', item('a', 'new')],
      ['b', undefined],
    ]),
  );
  asked[0]!.answer({ items: [item('a'), item('b'), item('c')] });
  await look;
  expect(list.items()).toEqual([item('a', 'new'), item('c')]);
});

test('a reading again tells of what is otherwise, and of nothing where all is as it was', async () => {
  const { list, asked, changes } = held();
  const first = list.load();
  await turn();
  asked[0]!.answer({ items: [item('a'), item('b')] });
  await first;
  changes.length = 0;
  for (const items of [
    [item('a'), item('b')],
    [item('a'), item('b', 'new')],
  ]) {
    const again = list.reload();
    await turn();
    asked.at(-1)!.answer({ items });
    await again;
  }
  expect(changes).toEqual([
    { changed: [], structural: false },
    { changed: [item('b', 'new')], structural: false },
  ]);
});

test('a reading that fails leaves what was read before, and is tried anew by the next look', async () => {
  const { list, asked } = held();
  const first = list.load();
  await turn();
  asked[0]!.fail(new Error('away'));
  await expect(first).rejects.toThrow('away');
  expect(list.error?.message).toBe('away');
  const second = list.load();
  await turn();
  asked[1]!.answer({ items: [item('a')] });
  await second;
  expect(list.error).toBeUndefined();
  const again = list.reload();
  await turn();
  asked[2]!.fail(new Error('away again'));
  await expect(again).rejects.toThrow('away again');
  expect(list.items()).toEqual([item('a')]);
});

test('an item is put where the broker would list it, and one of a state that the list does not hold leaves', async () => {
  const { list, asked } = held();
  const look = list.load();
  await turn();
  asked[0]!.answer({ items: [item('b'), item('d')], nextPageToken: 'next' });
  await look;
  list.apply(new Map(['a', 'c', 'e'].map((key) => [key, item(key)])));
  expect(list.items().map(({ key }) => key)).toEqual(['a', 'b', 'c', 'd']);
  list.apply(new Map([['b', item('b', 'gone')]]));
  expect(list.items().map(({ key }) => key)).toEqual(['a', 'c', 'd']);
});

test('a list that began with empty pages is read again as far as it had been read', async () => {
  const { list, asked } = held();
  const look = list.load();
  await turn();
  asked[0]!.answer({ items: [], nextPageToken: 'two' });
  await look;
  const more = list.loadMore();
  await turn();
  asked[1]!.answer({ items: [item('a')] });
  await more;
  const again = list.reload();
  await turn();
  asked[2]!.answer({ items: [], nextPageToken: 'two' });
  await turn();
  asked[3]?.answer({ items: [item('a', 'new')] });
  await again;
  expect(list.items()).toEqual([item('a', 'new')]);
  expect(list.more).toBe(false);
});
