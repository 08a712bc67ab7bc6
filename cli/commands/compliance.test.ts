import { FakeBroker, problem } from '../fake/broker.ts';
import { sampleViolation } from '../fake/samples.ts';
import { FakeHome } from '../fake/terminal.ts';
import { plainPaint } from '../output/colours.ts';
import { renderViolations } from './compliance.ts';

let broker: FakeBroker;
let home: FakeHome;

beforeEach(async () => {
  broker = await new FakeBroker().start();
  home = new FakeHome();
  home.env = { ...home.env, LANDFALL_URL: broker.url, LANDFALL_TOKEN: broker.token };
});
afterEach(async () => {
  await broker.stop();
  home.remove();
});

const { id } = sampleViolation;
const keep = (change: Partial<typeof sampleViolation> = {}) =>
  broker.violations.set(change.id ?? id, { ...sampleViolation, ...change });

describe('compliance', () => {
  test('without violations says so and succeeds', async () => {
    const ran = await home.run('compliance');
    expect(ran).toMatchObject({ code: 0, out: '0 violations\n' });
    expect(broker.asked[0]).toBe('POST /v1/complianceRuns');
  });
  test('lists what stands, and fails', async () => {
    keep();
    const { code, out } = await home.run('compliance');
    expect(code).toBe(1);
    expect(out).toMatch(
      /^1 violation\nID +RESOURCE +RULE +STATE +MODE +ACTION +SINCE +MESSAGE\n\S+ +instance\/first +eu\/residency +Open +enforce +stop: requested +\S+ +must stay in the EU\n$/,
    );
    expect(JSON.parse((await home.run('compliance -o json')).out).items).toHaveLength(1);
  });
  test('counts apart what is waived and what is not enforced, which are no failure', async () => {
    keep({ state: 'Waived', exception: { owner: 'cto', reason: 'moves', expires: '2027-01-01T00:00:00Z' } });
    keep({ id: '019a9c2e-6a4b-7c51-9d8e-2f1f6f0f6f21', mode: 'audit' });
    keep({ id: '019a9c2e-6a4b-7c51-9d8e-2f1f6f0f6f22', state: 'Resolved' });
    const { code, out } = await home.run('compliance');
    expect(code).toBe(0);
    expect(out.split('\n')[0]).toBe(
      '0 violations, 1 waived by an exception, 1 of rules that are not enforced',
    );
  });
  test('that cannot be judged says why', async () => {
    broker.nextError = {
      type: 'x',
      title: 'The operation failed',
      status: 422,
      detail: 'policy eu cannot be read',
    };
    const { code, err } = await home.run('compliance');
    expect(code).toBe(1);
    expect(err).toContain('policy eu cannot be read');
  });
});

test('get and describe show violations; resolved ones only when asked for', async () => {
  keep();
  keep({ id: '019a9c2e-6a4b-7c51-9d8e-2f1f6f0f6f22', state: 'Resolved' });
  expect((await home.run('get violations -o name')).out).toBe(`violation/${id}\n`);
  expect((await home.run('get vio -o name --filter policy=eu')).out.trim().split('\n')).toHaveLength(2);
  const { out } = await home.run(['describe', 'violation', id]);
  expect(out).toMatch(/Rule: +residency/);
  expect(out).toMatch(/Resource: +instance\/first/);
});

test('describe shows what stands against an instance', async () => {
  await home.run(['apply', '--wait', '-f', new URL('../../examples/first.yaml', import.meta.url).pathname]);
  expect((await home.run('describe instance first')).out).not.toContain('Violations');
  keep();
  expect((await home.run('describe instance first')).out).toMatch(
    /^Violations\n +RULE +STATE +SINCE +MESSAGE\n +eu\/residency +Open +\S+ +must stay in the EU$/m,
  );
});

test('watching violations shows each as it changes', async () => {
  keep();
  const watching = home.run('get violations -w -o name');
  while (broker.watchers.size === 0) await new Promise((resolve) => setTimeout(resolve, 10));
  while (!broker.asked.includes('GET /v1/violations'))
    await new Promise((resolve) => setTimeout(resolve, 10));
  keep({ state: 'Acknowledged' });
  broker.emit('violation.acknowledged', 'somebody sees to it', sampleViolation.resource, { violation: id });
  while (!broker.asked.includes(`GET /v1/violations/${id}`))
    await new Promise((resolve) => setTimeout(resolve, 10));
  await new Promise((resolve) => setTimeout(resolve, 50));
  home.interruption.abort();
  expect((await watching).out).toBe(`violation/${id}\n`.repeat(2));
});

describe('acknowledge', () => {
  test('says who sees to it and why', async () => {
    keep();
    const ran = await home.run(['acknowledge', 'violation', id, '--reason', 'moves on Monday']);
    expect(ran).toMatchObject({ code: 0, out: `violation/${id} acknowledged\n` });
    expect(broker.violations.get(id)?.acknowledged?.reason).toBe('moves on Monday');
  });
  test('needs a reason, a violation, and one that is there', async () => {
    expect((await home.run(['acknowledge', 'violation', id])).code).toBe(2);
    expect(await home.run('acknowledge instance first --reason x')).toMatchObject({
      code: 2,
      err: expect.stringContaining('Only violations are acknowledged, not instances'),
    });
    expect((await home.run('acknowledge violation --reason x')).err).toContain('landfall get violations');
    expect((await home.run(['acknowledge', 'violation', id, '--reason', 'x'])).code).toBe(3);
    broker.intercept = () => problem(409, 'Conflict', 'violation is Resolved');
    expect((await home.run(['acknowledge', 'violation', id, '--reason', 'x'])).code).toBe(5);
  });
});

test('a message from elsewhere cannot rewrite the terminal', () => {
  const text = renderViolations([{ ...sampleViolation, message: 'a\x1b[2Jb' }], plainPaint);
  expect(text).not.toContain('\x1b');
});
