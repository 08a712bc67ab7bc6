/** Azure subscriptions as sites, against the Azure simulator. */
import { startAzureSimulator } from '../simulators/azure/index.ts';
import { cloudSuite } from './cloud-suite.ts';

const subscription = '00000000-0000-0000-0000-000000000001';

cloudSuite({
  provider: 'azure',
  instanceType: 'Standard_B2s',
  regions: ['westeurope', 'northeurope'],
  account: { subscription },
  async start() {
    const simulator = await startAzureSimulator();
    const isMachine = (type: string) => /\/virtualMachines$/i.test(type);
    const ending = {
      create: ['PUT', /\/virtualMachines\/[^/]+$/i],
      stop: ['POST', /\/deallocate$/],
      start: ['POST', /\/start$/],
    } as const;
    return {
      endpoint: simulator.endpoint,
      machines: () =>
        simulator
          .truth()
          .filter(({ type }) => isMachine(type))
          .map(({ id }) => id),
      // A group and its network are the region's: they stay for the next machine.
      everything: () => simulator.truth().filter(({ tags = {} }) => tags['landfall:resource'] !== undefined),
      calls: (what) =>
        simulator.calls.filter(({ method, path }) => method === ending[what][0] && ending[what][1].test(path))
          .length,
      plant(location, name, by) {
        const id = `/subscriptions/${subscription}/resourceGroups/theirs/providers/Microsoft.Compute/virtualMachines/${name}`;
        const tags: Record<string, string> = by ? { 'aks-managed-poolName': 'system' } : { team: 'shop' };
        const properties = { hardwareProfile: { vmSize: 'Standard_B2s' } };
        simulator.plant(id, { location, tags, properties: properties as Record<string, unknown> });
        return id;
      },
      async plantDisk(location, name) {
        const id = `/subscriptions/${subscription}/resourceGroups/theirs/providers/Microsoft.Compute/disks/${name}`;
        const creationData = { createOption: 'Empty' };
        const properties = { creationData, diskSizeGB: 10, diskSizeBytes: 10 * 2 ** 30 };
        simulator.plant(id, { location, tags: { team: 'shop' }, properties });
        return id;
      },
      async remove(ref) {
        const headers = { authorization: 'Bearer somebody-else' };
        await fetch(`${simulator.endpoint}${ref}?api-version=2026-04-01`, { method: 'DELETE', headers });
      },
      slow: (machineMs) => simulator.faults.set({ kind: 'transitions', machineMs }),
      close: () => simulator.close(),
    };
  },
});
