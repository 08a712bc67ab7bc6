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
