import { FakeBroker, problem } from './fake/broker.ts';
import { FakeHome } from './fake/terminal.ts';

const tick = (milliseconds = 20) => new Promise((resolve) => setTimeout(resolve, milliseconds));

describe('watching', () => {
  let broker: FakeBroker;
  let home: FakeHome;
  beforeEach(async () => {
    broker = await new FakeBroker().start();
    home = new FakeHome();
    home.env = { ...home.env, LANDFALL_URL: broker.url, LANDFALL_TOKEN: broker.token };
  });
  afterEach(async () => {
    home.interruption.abort();
    await broker.stop();
    home.remove();
  });
  const watchers = async (count: number): Promise<void> => {
    while (broker.requests.filter(({ path }) => path === '/v1/watch').length < count) await tick();
    await tick(50);
  };

  test('a broken stream is resumed after the last event that came', async () => {
    broker.emit('a.old', 'before');
    const watching = home.run('events --watch');
    await watchers(1);
    broker.emit('b.new', 'during');
    await tick(50);
    for (const watcher of broker.watchers) watcher.destroy();
    broker.watchers.clear();
    await watchers(2);
    broker.emit('c.newer', 'after');
    await tick(50);
    home.interruption.abort();
    const { code, out } = await watching;
    expect(code).toBe(130);
    expect(
      out
        .trim()
        .split('\n')
        .slice(1)
        .map((line) => line.split(/ {2,}/)[1]),
    ).toEqual(['a.old', 'b.new', 'c.newer']);
    expect(broker.requests.filter(({ path }) => path === '/v1/watch').at(-1)?.headers['last-event-id']).toBe(
      '0-2',
    );
  });

  test('when the broker no longer has the events between, it says so and goes on', async () => {
    broker.intercept = ({ path, headers }) =>
      path === '/v1/watch' && headers['last-event-id'] ? problem(410, 'Too old') : undefined;
    const watching = home.run('events --watch');
    await watchers(1);
    broker.emit('a', 'one');
    await tick(50);
    for (const watcher of broker.watchers) watcher.destroy();
    await watchers(3);
    home.interruption.abort();
    expect((await watching).err).toMatch(/some are missing here/);
  });

  test('a denied stream ends the command', async () => {
    broker.intercept = ({ path }) => (path === '/v1/watch' ? problem(403, 'Not yours') : undefined);
    expect((await home.run('events --watch')).code).toBe(4);
  });
});
