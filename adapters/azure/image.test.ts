import { randomUUID } from 'node:crypto';
import { simulatedAzure } from '../../test/simulators/azure/subject.ts';
import { context, errorOf } from '../conformance/probe.ts';
import type { Adapter, InstanceWant } from '../contract.ts';

describe('images on the simulated Azure', () => {
  let subject: Awaited<ReturnType<typeof simulatedAzure>>;
  let adapter: Adapter;
  beforeAll(async () => {
    subject = await simulatedAzure();
    adapter = await subject.adapter();
  }, 300_000);
  afterAll(() => subject.close());

  const debian = { publisher: 'Debian', offer: 'debian-12', sku: '12-gen2' };
  const image = (change: Partial<InstanceWant['image']>): InstanceWant['image'] => ({
    name: 'debian-12',
    architecture: 'arm64',
    azure: debian,
    user: 'debian',
    ...change,
  });
  const arm = { instanceType: 'Standard_D2ps_v5', architecture: 'arm64' as const, vcpus: 2, memoryGiB: 8 };

  test('for arm64 the publisher’s SKU of that name is taken, and the machine made from it', async () => {
    const resource = randomUUID();
    await adapter.ensure(subject.want(resource, 1, { ...arm, image: image({}) }), context());
    const body = subject.simulator.calls.findLast(
      ({ operation }) => operation === 'virtual_machines_create_or_update',
    )?.body;
    expect(body).toMatchObject({
      properties: { storageProfile: { imageReference: { ...debian, sku: '12-arm64' } } },
    });
  });

  test('for x86_64 the SKU is taken as it is written, also where there is one for arm64', async () => {
    const looksForArm = () =>
      subject.simulator.calls.filter(({ path }) => path.includes('/skus/12-arm64/')).length;
    const before = looksForArm();
    await adapter.validate(subject.want(randomUUID(), 1, { image: image({ architecture: 'x86_64' }) }));
    expect(looksForArm()).toBe(before);
  });

  test.each([
    ['/image/azure', { azure: { publisher: 'Canonical', offer: 'ubuntu-24_04-lts', sku: 'server' } }],
    ['/image/azure', { azure: { publisher: 'Debian', offer: 'debian-12', sku: 'none' } }],
    ['/image/azure', { azure: undefined }],
    ['/image/custom', { azure: undefined, custom: '/subscriptions/else/where' }],
  ])('what is not there for arm64 is refused: %s %j', async (field, change) => {
    const want = subject.want(randomUUID(), 1, { ...arm, image: image(change) });
    expect((await errorOf(adapter.validate(want), 'Invalid')).details.field).toBe(field);
  });
});
