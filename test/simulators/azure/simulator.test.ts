import { setTimeout as sleep } from 'node:timers/promises';
import { type AzureSimulator, startAzureSimulator } from './index.ts';

describe('the simulated Azure', () => {
  let simulator: AzureSimulator;
  const group = '/subscriptions/s/resourceGroups/g';
  const network = `${group}/providers/Microsoft.Network`;
  const compute = `${group}/providers/Microsoft.Compute`;
  const versions = { 'Microsoft.Network': '2026-01-01', 'Microsoft.Compute': '2026-04-01' };

  beforeAll(async () => {
    simulator = await startAzureSimulator();
    await call('PUT', group, { location: 'westeurope' });
  }, 300_000);
  afterEach(() => simulator.faults.clear());
  afterAll(() => simulator.close());

  async function call(method: string, path: string, body?: object, headers: Record<string, string> = {}) {
    const namespace = /Microsoft\.(Network|Compute)/.exec(path)?.[0] as keyof typeof versions | undefined;
    const version = path.includes('/disks/') ? '2026-03-02' : namespace ? versions[namespace] : '2025-04-01';
    const url = `${simulator.endpoint}${path}?api-version=${version}`;
    const answer = await fetch(url, {
      method,
      body: body && JSON.stringify(body),
      headers: { authorization: 'Bearer t', ...headers },
    });
    const text = await answer.text();
    const parsed = text ? JSON.parse(text) : undefined;
    return { status: answer.status, headers: answer.headers, body: parsed, code: parsed?.error?.code };
  }

  const vnet = { location: 'westeurope', properties: { addressSpace: { addressPrefixes: ['10.0.0.0/16'] } } };
  const nic = (name = 'n') => ({
    location: 'westeurope',
    properties: {
      ipConfigurations: [
        { name: 'a', properties: { subnet: { id: `${network}/virtualNetworks/v/subnets/${name}` } } },
      ],
    },
  });
  const vm = {
    location: 'westeurope',
    properties: {
      hardwareProfile: { vmSize: 'Standard_B1s' },
      storageProfile: {
        imageReference: { publisher: 'Debian', offer: 'debian-12', sku: '12-gen2', version: 'latest' },
        osDisk: { name: 'd', createOption: 'FromImage', deleteOption: 'Detach' },
      },
      networkProfile: { networkInterfaces: [{ id: `${network}/networkInterfaces/i` }] },
    },
  };

  test('refuses what Microsoft’s schema does not know, lacks or types otherwise', async () => {
    const path = `${compute}/virtualMachines/bad`;
    const refused = async (properties: object) =>
      (await call('PUT', path, { location: 'westeurope', properties })).body.error.message as string;
    expect(await refused({ flavour: 'x' })).toContain('flavour');
    expect(await refused({ storageProfile: { osDisk: {} } })).toContain('createOption');
    expect(await refused({ priority: 'Cheap' })).toContain('Cheap');
    expect(
      await refused({ storageProfile: { osDisk: { createOption: 'FromImage', diskSizeGB: '3' } } }),
    ).toContain('diskSizeGB');
    expect((await call('PUT', path, { properties: {} })).status).toBe(400);
    expect(await call('GET', `${compute}/teapots/x`)).toMatchObject({ status: 404 });
    expect(simulator.truth()).toHaveLength(1);
  });

  test('wants a token, an existing group and existing references', async () => {
    expect(await call('GET', group, undefined, { authorization: '' })).toMatchObject({ status: 401 });
    const elsewhere = network.replace('/g/', '/none/');
    expect(await call('PUT', `${elsewhere}/virtualNetworks/v`, vnet)).toMatchObject({
      code: 'ResourceGroupNotFound',
    });
    expect(await call('PUT', `${network}/networkInterfaces/i`, nic('none'))).toMatchObject({
      code: 'InvalidResourceReference',
    });
  });

  test('operations take time, objects in use stay, and a name is taken once', async () => {
    await call('PUT', `${network}/virtualNetworks/v`, {
      ...vnet,
      properties: {
        ...vnet.properties,
        subnets: [{ name: 'n', properties: { addressPrefix: '10.0.0.0/24' } }],
      },
    });
    await call('PUT', `${network}/networkInterfaces/i`, nic());
    const created = await call('PUT', `${compute}/virtualMachines/m`, vm, { 'if-none-match': '*' });
    expect(created).toMatchObject({ status: 201, body: { properties: { provisioningState: 'Creating' } } });
    const operation = new URL(created.headers.get('azure-asyncoperation') ?? '');
    expect(operation.origin).toBe('https://management.azure.com');
    const state = async () => (await call('GET', operation.pathname)).body.status as string;
    expect(await state()).toBe('InProgress');
    expect(await call('PUT', `${compute}/virtualMachines/m`, vm, { 'if-none-match': '*' })).toMatchObject({
      code: 'PreconditionFailed',
    });
    expect(await call('DELETE', `${network}/networkInterfaces/i`)).toMatchObject({ code: 'NicInUse' });
    expect(await call('DELETE', `${compute}/disks/d`)).toMatchObject({ code: 'OperationNotAllowed' });
    await sleep(200);
    expect(await state()).toBe('Succeeded');

    expect(await call('DELETE', `${compute}/virtualMachines/m`)).toMatchObject({ status: 202 });
    expect((await call('GET', `${compute}/virtualMachines/m`)).body.properties.provisioningState).toBe(
      'Deleting',
    );
    await sleep(200);
    expect(await call('GET', `${compute}/virtualMachines/m`)).toMatchObject({ code: 'ResourceNotFound' });
    expect(await call('DELETE', `${compute}/virtualMachines/m`)).toMatchObject({ status: 204 });
    expect(await call('DELETE', `${compute}/disks/d`)).toMatchObject({ status: 202 });
  });

  test('a thing that was just made stays invisible for as many looks as asked for', async () => {
    simulator.faults.set({ kind: 'lag', lists: 2 });
    await call('PUT', `${network}/publicIPAddresses/p`, { location: 'westeurope', properties: {} });
    const looks = [];
    for (let look = 0; look < 3; look += 1)
      looks.push((await call('GET', `${network}/publicIPAddresses/p`)).status);
    expect(looks).toEqual([404, 404, 200]);
  });

  test('a throttled call is answered 429 with Retry-After', async () => {
    simulator.faults.set({ kind: 'throttle', retryAfterMs: 3000 });
    const answer = await call('GET', group);
    expect(answer).toMatchObject({ status: 429, code: 'OperationNotAllowed' });
    expect(answer.headers.get('retry-after')).toBe('3');
  });
});
