import { startSlots } from './start-slots.ts';

const calm = new AbortController().signal;

test('no more than the limit start at once, the next as soon as one is done', async () => {
  const slots = startSlots(2);
  const first = await slots.take(calm);
  await slots.take(calm);
  let third = false;
  const waiting = slots.take(calm).then(() => {
    third = true;
  });
  await Promise.resolve();
  expect(third).toBe(false);
  first();
  first();
  await waiting;
  expect(third).toBe(true);
});

test('a cancelled wait gives up its place', async () => {
  const slots = startSlots(1);
  const release = await slots.take(calm);
  const cancel = new AbortController();
  const waiting = slots.take(cancel.signal);
  cancel.abort(new Error('no longer wanted'));
  await expect(waiting).rejects.toThrow('no longer wanted');
  release();
  await expect(slots.take(calm)).resolves.toBeInstanceOf(Function);
});
