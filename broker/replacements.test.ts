import { instanceInput, TestBroker } from './testing/test-broker.ts';

let broker: TestBroker;
const instances = '/v1/projects/default/instances';

beforeAll(async () => {
  broker = await TestBroker.start();
}, 60_000);
afterAll(() => broker?.stop(), 20_000);

/** An instance whose machine is lost, as its workflow would have written it. */
async function lost(name: string, adopted: string | null = null): Promise<void> {
  expect((await broker.call('POST', instances, { body: instanceInput(name) })).status).toBe(202);
  await broker.store.pool.query(
    `update instances set state = 'Lost', adopted = $2::text, spec = case when $2::text is null then spec else spec - 'image' end,
       status = status || jsonb_build_object('state', 'Lost', 'site', 'local', 'region', 'local')
                       || case when $2::text is null then '{}' else '{"adopted": true}'::jsonb end where name = $1`,
    [name, adopted],
  );
  await broker.store.pool.query(`update operations set state = 'Succeeded', finished_at = now()`);
}
const replace = (name: string, body: object = {}, more: Parameters<TestBroker['call']>[2] = {}, query = '') =>
  broker.call('POST', `${instances}/${name}/replace${query}`, { body, ...more });

test('a lost machine is replaced by an operator, once however often it is asked for, and cancelled', async () => {
  await lost('web');
  const { secret: viewer } = await broker.token('viewer');
  expect((await replace('web', {}, { token: viewer })).status).toBe(403);
  expect((await replace('web', {}, {}, '?validateOnly=true')).status).toBe(204);
  const first = await replace('web');
  expect(first).toMatchObject({
    status: 202,
    body: { verb: 'replace', state: 'Pending', resource: { name: 'web' } },
  });
  expect((await replace('web')).body.id).toBe(first.body.id);
  expect((await broker.call('POST', `/v1/operations/${first.body.id}/cancel`)).status).toBe(202);
  const events = await broker.call('GET', '/v1/events?filter=type=instance.replaceRequested');
  expect(events.body.items).toMatchObject([
    { actor: 'admin', message: expect.stringContaining('what was on its boot disk is gone') },
  ]);
});

test('what is not lost, and what names an image that it has or lacks, is refused with the reason', async () => {
  expect((await broker.call('POST', instances, { body: instanceInput('fine') })).status).toBe(202);
  expect(await replace('fine')).toMatchObject({
    status: 409,
    body: { detail: expect.stringContaining('only a machine that is Lost is replaced') },
  });
  await lost('own');
  expect(await replace('own', { sshKeys: ['laptop'] })).toMatchObject({
    status: 422,
    body: { errors: [{ pointer: '/sshKeys' }] },
  });
  await lost('legacy', 'i-1');
  expect(await replace('legacy')).toMatchObject({
    status: 422,
    body: { errors: [{ pointer: '/image', message: expect.stringContaining('name an image') }] },
  });
  expect(await replace('legacy', { image: 'tyni', sshKeys: ['none'] })).toMatchObject({
    status: 422,
    body: {
      errors: [
        { pointer: '/image', message: expect.stringContaining('there is no image named tyni') },
        { pointer: '/sshKeys/0', message: expect.stringContaining('no SSH key') },
      ],
    },
  });
  expect((await replace('legacy', { image: 'tiny' })).status).toBe(202);
});
