import { setTimeout as sleep } from 'node:timers/promises';
import { type AzureSimulator, startAzureSimulator } from './index.ts';

describe('the simulated Azure', () => {
  let simulator: AzureSimulator;
  const group = '/subscriptions/s/resourceGroups/g';
  const network = `${group}/providers/Microsoft.Network`;
  const compute = `${group}/providers/Microsoft.Compute`;
  const versions = {
    'Microsoft.Network': '2026-01-01',
    'Microsoft.Compute': '2026-04-01',
    'Microsoft.Insights': '2015-04-01',
    'Microsoft.Resources': '2025-04-01',
  };

  beforeAll(async () => {
    simulator = await startAzureSimulator();
    await call('PUT', group, { location: 'westeurope' });
  }, 300_000);
  afterEach(() => simulator.faults.clear());
  afterAll(() => simulator.close());

  async function call(
    method: string,
    path: string,
    body?: object,
    headers: Record<string, string> = {},
    query: Record<string, string> = {},
  ) {
    const namespaces = path.match(/Microsoft\.(Network|Compute|Insights|Resources)/g) as
      | (keyof typeof versions)[]
      | null;
    const namespace = namespaces?.at(-1);
    const version = /\/(disks|snapshots)\//.test(path)
      ? '2026-03-02'
      : namespace
        ? versions[namespace]
        : '2025-04-01';
    const url = `${simulator.endpoint}${path}?${new URLSearchParams({ 'api-version': version, ...query })}`;
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
  const withSubnet = {
    ...vnet,
    properties: {
      ...vnet.properties,
      subnets: [{ name: 'n', properties: { addressPrefix: '10.0.0.0/24' } }],
    },
  };
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
    await call('PUT', `${network}/virtualNetworks/v`, withSubnet);
    await call('PUT', `${network}/networkInterfaces/i`, nic());
    // So long that a busy machine looks before the end.
    simulator.faults.set({ kind: 'transitions', machineMs: 1500 });
    simulator.faults.set({ kind: 'slowDelete', ms: 1500 });
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
    await sleep(1550);
    expect(await state()).toBe('Succeeded');

    expect(await call('DELETE', `${compute}/virtualMachines/m`)).toMatchObject({ status: 202 });
    expect((await call('GET', `${compute}/virtualMachines/m`)).body.properties.provisioningState).toBe(
      'Deleting',
    );
    await sleep(1550);
    expect(await call('GET', `${compute}/virtualMachines/m`)).toMatchObject({ code: 'ResourceNotFound' });
    expect(await call('DELETE', `${compute}/virtualMachines/m`)).toMatchObject({ status: 204 });
    expect(await call('DELETE', `${compute}/disks/d`)).toMatchObject({ status: 202 });
  });

  describe('disks', () => {
    const disk = (properties: object, zones?: string[]) => ({
      location: 'westeurope',
      zones,
      sku: { name: 'StandardSSD_LRS' },
      properties: { creationData: { createOption: 'Empty' }, ...properties },
    });
    const change = (name: string, properties: object) =>
      call('PATCH', `${compute}/disks/${name}`, { properties });
    const attach = (name: string, lun = 0) =>
      call('POST', `${compute}/virtualMachines/keeper/attachDetachDataDisks`, {
        dataDisksToAttach: [{ diskId: `${compute}/disks/${name}`, lun, deleteOption: 'Detach' }],
      });

    /** Until nothing of the machine is under way any more; a busy machine takes longer over it. */
    const settled = async (gone = false) => {
      const path = `${compute}/virtualMachines/keeper`;
      const isSettled = ({ status, body }: Awaited<ReturnType<typeof call>>) =>
        gone
          ? status === 404
          : (body as { properties?: { provisioningState?: string } }).properties?.provisioningState ===
            'Succeeded';
      for (let tries = 0; !isSettled(await call('GET', path)); tries++) {
        if (tries > 400) throw new Error(`${path} is still under way`);
        await sleep(25);
      }
    };

    beforeAll(async () => {
      await call('PUT', `${network}/virtualNetworks/v`, withSubnet);
      await call('PUT', `${network}/networkInterfaces/k`, nic());
      const networkProfile = { networkInterfaces: [{ id: `${network}/networkInterfaces/k` }] };
      // A disk of its own: that of the machine before may still be going.
      const { storageProfile } = vm.properties;
      const osDisk = { ...storageProfile.osDisk, name: 'kept' };
      const keeper = {
        ...vm,
        properties: { ...vm.properties, storageProfile: { ...storageProfile, osDisk }, networkProfile },
      };
      expect(await call('PUT', `${compute}/virtualMachines/keeper`, keeper)).toMatchObject({ status: 201 });
      for (const [name, size, zones] of [
        ['a', 8],
        ['b', 8],
        ['c', 8],
        ['z', 8, ['1']],
        ['big', 4000],
      ] as const)
        expect(
          await call('PUT', `${compute}/disks/${name}`, disk({ diskSizeGB: size }, zones && [...zones])),
        ).toMatchObject({ status: 202 });
      await settled();
      await sleep(250);
    });

    test('only grow, and are made of what they were made of', async () => {
      expect(await change('a', { diskSizeGB: 4 })).toMatchObject({ code: 'ResizeDiskError' });
      expect(await change('a', { diskSizeGB: 16 })).toMatchObject({ status: 200 });
      const copy = { createOption: 'Copy', sourceResourceId: `${compute}/snapshots/s` };
      expect(
        await call('PUT', `${compute}/disks/a`, disk({ creationData: copy, diskSizeGB: 16 })),
      ).toMatchObject({
        code: 'PropertyChangeNotAllowed',
      });
      expect(await call('PUT', `${compute}/disks/n`, disk({ creationData: copy }))).toMatchObject({
        code: 'ResourceNotFound',
      });
    });

    test('belong to one machine of their zone at a number of their own, as many as its size takes', async () => {
      simulator.faults.set({ kind: 'transitions', networkMs: 1500 });
      expect(await attach('a')).toMatchObject({ status: 202 });
      expect(await attach('b')).toMatchObject({ code: 'AnotherOperationInProgress' });
      await settled();
      simulator.faults.clear();
      expect(await attach('a', 1)).toMatchObject({ code: 'ConflictingUserInput' });
      expect(await attach('b', 0)).toMatchObject({ code: 'InvalidParameter' });
      expect(await attach('z', 1)).toMatchObject({ code: 'BadRequest' });
      expect(await attach('big', 1)).toMatchObject({ status: 202 });
      await settled();
      expect(await attach('c', 2)).toMatchObject({ code: 'OperationNotAllowed' });
      expect(await change('big', { diskSizeGB: 5000 })).toMatchObject({ code: 'OperationNotAllowed' });
      expect(await call('DELETE', `${compute}/disks/a`)).toMatchObject({ code: 'OperationNotAllowed' });
      await call('DELETE', `${compute}/virtualMachines/keeper`);
      await settled(true);
      expect((await call('GET', `${compute}/disks/a`)).body).toMatchObject({
        properties: { diskState: 'Unattached' },
      });
      expect(await call('DELETE', `${compute}/disks/a`)).toMatchObject({ status: 202 });
    });
  });

  describe('networks', () => {
    const rule = (priority: number, more: object = {}) => ({
      properties: { priority, direction: 'Inbound', access: 'Allow', protocol: 'Tcp', ...more },
    });
    const rules = `${network}/networkSecurityGroups/g/securityRules`;
    const subnets = (...prefixes: string[]) => ({
      ...vnet,
      properties: {
        ...vnet.properties,
        subnets: prefixes.map((addressPrefix, at) => ({ name: `s${at}`, properties: { addressPrefix } })),
      },
    });

    test('subnets lie inside their network and apart from each other', async () => {
      const put = (...prefixes: string[]) =>
        call('PUT', `${network}/virtualNetworks/w`, subnets(...prefixes));
      expect(await put('10.1.0.0/24')).toMatchObject({ code: 'NetcfgSubnetRangeOutsideVnet' });
      expect(await put('10.0.0.0/24', '10.0.0.128/25')).toMatchObject({ code: 'NetcfgSubnetRangesOverlap' });
      expect(await put('10.0.0.1/24')).toMatchObject({ code: 'InvalidCIDRNotation' });
      expect(await call('GET', `${network}/virtualNetworks/w`)).toMatchObject({ status: 404 });
    });

    test('rules have a priority of their own, and hold their groups', async () => {
      await call('PUT', `${network}/networkSecurityGroups/g`, { location: 'westeurope', properties: {} });
      await call('PUT', `${network}/applicationSecurityGroups/a`, { location: 'westeurope', properties: {} });
      const group = {
        destinationApplicationSecurityGroups: [{ id: `${network}/applicationSecurityGroups/a` }],
      };
      expect(await call('PUT', `${rules}/one`, rule(100, group))).toMatchObject({ status: 201 });
      expect(await call('PUT', `${rules}/two`, rule(100))).toMatchObject({ code: 'SecurityRuleConflict' });
      expect(await call('PUT', `${rules}/two`, rule(99))).toMatchObject({
        code: 'SecurityRuleInvalidPriority',
      });
      const shown = await call('GET', `${network}/networkSecurityGroups/g`);
      expect(shown.body.properties.securityRules.map(({ name }: { name: string }) => name)).toEqual(['one']);
      expect(await call('DELETE', `${network}/applicationSecurityGroups/a`)).toMatchObject({
        code: 'ApplicationSecurityGroupInUse',
      });
      await call('DELETE', `${rules}/one`);
      await sleep(60);
      expect(await call('DELETE', `${network}/applicationSecurityGroups/a`)).toMatchObject({ status: 202 });
    });

    test('what an interface uses stays, and an interface is written only as it was read', async () => {
      await call('PUT', `${network}/virtualNetworks/v`, withSubnet);
      await call('PUT', `${network}/publicIPAddresses/q`, { location: 'westeurope', properties: {} });
      const body = nic() as { location: string; properties: { ipConfigurations: { properties: object }[] } };
      for (const config of body.properties.ipConfigurations)
        config.properties = {
          ...config.properties,
          publicIPAddress: { id: `${network}/publicIPAddresses/q` },
        };
      const made = await call('PUT', `${network}/networkInterfaces/u`, body);
      expect(made.body.properties.ipConfigurations[0].properties.privateIPAddress).toMatch(/^10\.0\.0\./);
      await sleep(60);
      expect(await call('DELETE', `${network}/publicIPAddresses/q`)).toMatchObject({
        code: 'PublicIPAddressCannotBeDeleted',
      });
      expect(await call('DELETE', `${network}/virtualNetworks/v`)).toMatchObject({
        code: 'InUseSubnetCannotBeDeleted',
      });
      expect(await call('PUT', `${network}/virtualNetworks/v`, vnet)).toMatchObject({
        code: 'InUseSubnetCannotBeDeleted',
      });
      const put = (etag: string) => call('PUT', `${network}/networkInterfaces/u`, body, { 'if-match': etag });
      expect(await put(made.body.etag)).toMatchObject({ status: 412, code: 'PreconditionFailed' });
      const { etag } = (await call('GET', `${network}/networkInterfaces/u`)).body;
      expect(await put(etag)).toMatchObject({ status: 200 });
      const other = await call('PUT', `${network}/networkInterfaces/t`, body);
      expect(other).toMatchObject({ code: 'PublicIPAddressInUse' });
    });
  });

  test('an answer that Microsoft’s schema does not know is a defect of the simulator', async () => {
    const stray = {
      location: 'westeurope',
      properties: { creationData: { createOption: 'Empty' }, flavour: 'x' },
    };
    simulator.plant(`${compute}/disks/stray`, stray);
    const answer = await call('GET', `${compute}/disks/stray`);
    expect(answer).toMatchObject({ status: 500, code: 'SimulatorDefect' });
    expect(answer.body.error.message).toContain('flavour');
  });

  test('a fault set for a kind leaves the creates of others alone', async () => {
    simulator.faults.set({ kind: 'quota' }, 'Address');
    const body = { location: 'westeurope', properties: {} };
    expect(await call('PUT', `${network}/applicationSecurityGroups/f`, body)).toMatchObject({ status: 201 });
    expect(await call('PUT', `${network}/publicIPAddresses/f`, body)).toMatchObject({
      code: 'IPv4StandardSkuPublicIpCountLimitReached',
    });
  });

  test('a thing that was just made stays invisible for as many looks as asked for', async () => {
    simulator.faults.set({ kind: 'lag', lists: 2 });
    await call('PUT', `${network}/publicIPAddresses/p`, { location: 'westeurope', properties: {} });
    const looks = [];
    for (let look = 0; look < 3; look += 1)
      looks.push((await call('GET', `${network}/publicIPAddresses/p`)).status);
    expect(looks).toEqual([404, 404, 200]);
  });

  test('tags are added to, and taken away by name and value, beside those that others write', async () => {
    const id = `${network}/publicIPAddresses/tagged`;
    await call('PUT', id, { location: 'westeurope', tags: { team: 'shop' }, properties: {} });
    const change = (operation: string, tags: object) =>
      call('PATCH', `${id}/providers/Microsoft.Resources/tags/default`, { operation, properties: { tags } });
    expect(await change('Merge', { a: '1', b: '2' })).toMatchObject({ status: 200 });
    await change('Delete', { a: '1', b: 'another value' });
    expect((await call('GET', id)).body.tags).toEqual({ team: 'shop', b: '2' });
    expect(await change('Forget', {})).toMatchObject({ status: 400 });
  });

  test('requests for groups, lists of any type and the Activity Log are held to Microsoft’s schemas too', async () => {
    const asked = (path: string, query: Record<string, string> = {}, body?: object) =>
      call(body ? 'PUT' : 'GET', path, body, {}, query);
    const refusal = (message: string) => ({ status: 400, body: { error: { message } } });
    const stray = { location: 'westeurope', flavour: 'x' };
    expect(await asked('/subscriptions/s/resourceGroups/h', {}, stray)).toMatchObject(
      refusal("Could not find member 'flavour' on object of type 'ResourceGroup'."),
    );
    expect(await asked('/subscriptions/s/resourceGroups/h', {}, {})).toMatchObject(
      refusal("Required parameter 'parameters.location' is missing (null)."),
    );
    expect(await asked('/subscriptions/s/resources', { $flavour: 'x' })).toMatchObject(
      refusal("Unknown query parameter '$flavour'."),
    );
    const log = '/subscriptions/s/providers/Microsoft.Insights/eventtypes/management/values';
    expect(await asked(log)).toMatchObject(refusal('The $filter query parameter is required.'));
    const [from, to] = ['2026-01-01T00:00:00Z', '2026-01-02T00:00:00Z'];
    const endless = `eventTimestamp ge '${from}' and resourceUri eq '/r'`;
    expect(await asked(log, { $filter: endless })).toMatchObject({ status: 400, code: 'BadRequest' });
    const $filter = `eventTimestamp ge '${from}' and eventTimestamp le '${to}' and resourceUri eq '/r'`;
    expect(await asked(log, { $filter, $orderby: 'x' })).toMatchObject(
      refusal("Unknown query parameter '$orderby'."),
    );
    expect(await asked(log, { $filter })).toMatchObject({ status: 200, body: { value: [] } });
  });

  test('an image is made of a blob, if that is a VHD that can be read and says how it boots', async () => {
    const made = (blobUri: string, properties: object = { hyperVGeneration: 'V2' }) =>
      call('PUT', `${compute}/images/golden`, {
        location: 'westeurope',
        properties: {
          storageProfile: { osDisk: { osType: 'Linux', osState: 'Generalized', blobUri } },
          ...properties,
        },
      });
    const blob = 'https://account.blob.core.windows.net/vhds/golden.vhd';
    expect(await made(`${blob}?sig=s`)).toMatchObject({ status: 400, code: 'BadRequest' });
    for (const answer of [await made(blob, {}), await made(blob.replace('.vhd', '.raw'))])
      expect(answer).toMatchObject({ status: 400, code: 'InvalidParameter' });
    simulator.faults.set({ kind: 'unreadable' });
    expect((await made(blob)).body.error.message).toBe(`The source blob ${blob} is not accessible.`);
    expect((await call('GET', `${compute}/images/golden`)).status).toBe(404);
    expect(await made(blob)).toMatchObject({
      status: 201,
      body: { properties: { storageProfile: { osDisk: { diskSizeGB: 8 } } } },
    });
  });

  test('a throttled call is answered 429 with Retry-After', async () => {
    simulator.faults.set({ kind: 'throttle', retryAfterMs: 3000 });
    const answer = await call('GET', group);
    expect(answer).toMatchObject({ status: 429, code: 'OperationNotAllowed' });
    expect(answer.headers.get('retry-after')).toBe('3');
  });
});
