import { startStep } from './start-step.ts';

test('a step whose try never answers is tried again, and says what it waits for', async () => {
  const said: string[] = [];
  const step = startStep(
    { warn: (fields: unknown, text?: string) => said.push(`${text}: ${JSON.stringify(fields)}`) },
    50,
  );
  let tries = 0;
  const answer = await step('Temporal', () =>
    ++tries === 1 ? new Promise<string>(() => undefined) : Promise.resolve('there'),
  );
  expect(answer).toBe('there');
  expect(tries).toBe(2);
  expect(said).toEqual(['waiting for Temporal: {"reason":"no answer in 0.05 s"}']);
});

test('a step that fails is tried again until it answers', async () => {
  const step = startStep({ warn: () => undefined }, 1_000);
  let tries = 0;
  const call = () => (++tries < 3 ? Promise.reject(new Error('refused')) : Promise.resolve(tries));
  expect(await step('PostgreSQL', call)).toBe(3);
});

test('a step that fails is tried no more once its signal is aborted', async () => {
  const stopping = new AbortController();
  const step = startStep({ warn: () => undefined }, 1_000, stopping.signal);
  let tries = 0;
  const call = () => {
    if (++tries === 2) stopping.abort(new Error('stopping'));
    return Promise.reject(new Error('refused'));
  };
  await expect(step('Temporal', call)).rejects.toThrow('stopping');
  expect(tries).toBe(2);
});
