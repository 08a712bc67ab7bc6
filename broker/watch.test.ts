import { appendEvent, type Tx } from '@landfall/store';
import { TestBroker } from './testing/test-broker.ts';

let broker: TestBroker;
beforeAll(async () => {
  broker = await TestBroker.start();
}, 60_000);
afterAll(() => broker?.stop(), 20_000);

interface Message {
  id: string;
  event: string;
  data: { type?: string; message?: string; revision: string };
}

/** A watch, its messages collected as they come. */
async function watch(options: { query?: string; lastEventId?: string; token?: string } = {}) {
  const gone = new AbortController();
  const response = await fetch(`${broker.url}/v1/watch${options.query ?? ''}`, {
    headers: {
      authorization: `Bearer ${options.token ?? broker.adminToken}`,
      ...(options.lastEventId ? { 'last-event-id': options.lastEventId } : {}),
    },
    signal: gone.signal,
  });
  const messages: Message[] = [];
  let ended = false;
  const reading = (async () => {
    let text = '';
    try {
      for await (const chunk of response.body!.pipeThrough(new TextDecoderStream())) {
        text += chunk;
        const parts = text.split('\n\n');
        text = parts.pop()!;
        for (const part of parts) {
          const fields = Object.fromEntries(
            part
              .split('\n')
              .map((line) => [line.slice(0, line.indexOf(':')), line.slice(line.indexOf(':') + 2)]),
          );
          if (fields.event)
            messages.push({ id: fields.id!, event: fields.event, data: JSON.parse(fields.data!) });
        }
      }
    } catch (error) {
      if (!gone.signal.aborted) throw error;
    }
    ended = true;
  })();
  return {
    response,
    messages,
    events: () => messages.filter((each) => each.event === 'event').map((each) => each.data.message),
    async until(condition: () => boolean, ms = 5_000) {
      const deadline = Date.now() + ms;
      while (!condition() && Date.now() < deadline) await new Promise((resolve) => setTimeout(resolve, 10));
      expect(condition()).toBe(true);
    },
    ended: () => ended,
    async close() {
      gone.abort();
      await reading;
    },
  };
}

const say =
  (message: string, more: { project?: string; type?: string } = {}) =>
  (tx: Tx) =>
    appendEvent(tx, {
      type: more.type ?? 'test.said',
      organization: 'default',
      project: more.project ?? null,
      actor: 'test',
      message,
    });
const commit = (message: string, more: { project?: string; type?: string } = {}) =>
  broker.store.db.transaction().execute(say(message, more));

test('events come as they happen, each with its revision, and a bookmark opens the stream', async () => {
  const watching = await watch();
  expect(watching.response.headers.get('content-type')).toBe('text/event-stream');
  await watching.until(() => watching.messages.some((each) => each.event === 'bookmark'));
  await commit('one');
  await watching.until(() => watching.events().length === 1);
  await commit('two');
  await watching.until(() => watching.events().length === 2);
  expect(watching.events()).toEqual(['one', 'two']);
  expect(watching.messages.find((each) => each.data.message === 'two')!.id).toMatch(/^[0-9]+-[0-9]+$/);
  await watching.close();
});

test('a watch resumes after the last event it saw, and misses and repeats none', async () => {
  const first = await watch();
  await commit('a');
  await first.until(() => first.events().length === 1);
  const last = first.messages.find((each) => each.event === 'event')!.id;
  await first.close();
  for (const message of ['b', 'c', 'd']) await commit(message);
  const second = await watch({ lastEventId: last });
  await second.until(() => second.events().length === 3);
  expect(second.events()).toEqual(['b', 'c', 'd']);
  await second.close();
});

test('an event of a transaction that commits late is not missed', async () => {
  const watching = await watch();
  await watching.until(() => watching.messages.length > 0);
  let release: () => void = () => undefined;
  const held = new Promise<void>((resolve) => {
    release = resolve;
  });
  let inside: () => void = () => undefined;
  const appended = new Promise<void>((resolve) => {
    inside = resolve;
  });
  const late = broker.store.db.transaction().execute(async (tx) => {
    await say('late')(tx);
    inside();
    await held;
  });
  await appended;
  await commit('early');
  await new Promise((resolve) => setTimeout(resolve, 200));
  expect(watching.events()).toEqual([]); // `early` waits for the older transaction
  release();
  await late;
  await watching.until(() => watching.events().length === 2);
  expect(watching.events()).toEqual(['late', 'early']);
  await watching.close();
});

test('filters, and what a project token sees', async () => {
  const { secret } = await broker.token('viewer', { project: 'default' });
  const byType = await watch({ query: '?filter=type=test.b' });
  const byProject = await watch({ token: secret });
  await Promise.all([byType, byProject].map((each) => each.until(() => each.messages.length > 0)));
  await commit('organization-wide');
  await commit('of default', { project: 'default', type: 'test.b' });
  await byType.until(() => byType.events().length === 1);
  await byProject.until(() => byProject.events().length === 1);
  expect(byType.events()).toEqual(['of default']);
  expect(byProject.events()).toEqual(['of default']);
  await byType.close();
  await byProject.close();
  expect((await broker.call('GET', '/v1/watch?filter=name=x')).status).toBe(400);
  expect((await broker.call('GET', '/v1/watch?filter=project=elsewhere', { token: secret })).status).toBe(
    404,
  );
});

test('a watch ends when its token is revoked or expires, before it shows what came after', async () => {
  const revoked = await broker.token('viewer');
  const expiring = await broker.token('viewer', { expiresIn: '3s' });
  const watching = await Promise.all([watch({ token: revoked.secret }), watch({ token: expiring.secret })]);
  await Promise.all(watching.map((each) => each.until(() => each.messages.length > 0)));
  expect(
    (await broker.call('DELETE', `/v1/tokens/${revoked.id}`, { headers: { 'if-match': '*' } })).status,
  ).toBe(204);
  await commit('not for them');
  await watching[0].until(watching[0].ended);
  await watching[1].until(watching[1].ended, 15_000);
  expect(watching[0].events()).not.toContain('not for them');
}, 30_000);

test('what is no longer kept, or never was, is 410; what is no revision 400', async () => {
  const at = (id: string) => broker.call('GET', '/v1/watch', { headers: { 'last-event-id': id } });
  await broker.store.pool.query(`update event_horizon set xid = '700', id = 5`);
  expect((await at('1-1')).body).toMatchObject({ status: 410, type: 'https://landfall.dev/problems/gone' });
  expect((await at('9999999999-1')).status).toBe(410);
  expect((await at('99999999999999999999-1')).status).toBe(400);
  expect((await at('latest')).status).toBe(400);
  await broker.store.pool.query(`update event_horizon set xid = '0', id = 0`);
});

test('a reader that does not read holds up nobody', async () => {
  const { hostname, port } = new URL(broker.url);
  const { connect } = await import('node:net');
  const stuck = connect(Number(port), hostname);
  stuck.pause();
  stuck.write(`GET /v1/watch HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${broker.adminToken}\r\n\r\n`);
  const watching = await watch();
  await watching.until(() => watching.messages.length > 0);
  const long = 'x'.repeat(100_000);
  for (let i = 0; i < 60; i++) await commit(`${i} ${long}`);
  await watching.until(() => watching.events().length === 60, 10_000);
  stuck.destroy();
  await watching.close();
}, 30_000);

test('streams survive a restart of the database and end when the broker stops', async () => {
  const watching = await watch();
  await watching.until(() => watching.messages.length > 0);
  await broker.database.halt();
  await new Promise((resolve) => setTimeout(resolve, 300));
  await broker.database.restart();
  await commit('after the restart').catch(() => commit('after the restart'));
  await watching.until(() => watching.events().length === 1, 10_000);
  await broker.broker.stop();
  await watching.until(watching.ended);
}, 30_000);
