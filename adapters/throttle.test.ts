import { ProviderError } from './errors.ts';
import { Throttle } from './throttle.ts';

const { signal } = new AbortController();
const throttledFor = (retryAfterMs: number) => async (): Promise<never> => {
  throw new ProviderError('Throttled', 'too many calls', { retryAfterMs });
};

test('R15: a call that is throttled holds back every other of its site, and they go on one by one; other sites go on', async () => {
  const site = new Throttle();
  const calledAt = Date.now();
  await expect(site.run(signal, throttledFor(200))).rejects.toMatchObject({ code: 'Throttled' });
  const order: string[] = [];
  const begin = (name: string) => async () => {
    order.push(name);
    return Date.now();
  };
  const held = [1, 2, 3].map((n) => site.run(signal, begin(`held ${n}`)));
  await new Throttle().run(signal, begin('of another site'));
  const times = await Promise.all(held);
  expect(order).toEqual(['of another site', 'held 1', 'held 2', 'held 3']);
  // A timer may fire a millisecond early by the other clock.
  expect(times[0]! - calledAt).toBeGreaterThanOrEqual(195);
  expect(times[2]! - calledAt).toBeGreaterThanOrEqual(295);
});

test('a hold that lasts is answered without a call, with the time that is left', async () => {
  const site = new Throttle();
  await site.run(signal, throttledFor(60_000)).catch(() => undefined);
  let calls = 0;
  const call = site.run(signal, async () => ++calls);
  await expect(call).rejects.toMatchObject({
    code: 'Throttled',
    message: expect.stringMatching(/no more calls for (60|59) s/),
    details: { retryAfterMs: expect.any(Number) },
  });
  expect(calls).toBe(0);
});

test('what is throttled again while others wait holds them back anew', async () => {
  const site = new Throttle();
  await site.run(signal, throttledFor(50)).catch(() => undefined);
  const begun = Date.now();
  const again = site.run(signal, throttledFor(300)).catch(() => Date.now());
  const next = site.run(signal, async () => Date.now());
  await again;
  expect((await next) - begun).toBeGreaterThanOrEqual(340);
});

test('a call that is cancelled while it waits ends with the reason it was given', async () => {
  const site = new Throttle();
  await site.run(signal, throttledFor(5_000)).catch(() => undefined);
  const controller = new AbortController();
  const call = site.run(controller.signal, async () => 'called');
  controller.abort(new Error('cancelled by the workflow'));
  await expect(call).rejects.toThrow('cancelled by the workflow');
});
