/** Azure subscriptions as sites, against the Azure simulator. */
import { startAzureSimulator } from '../simulators/azure/index.ts';
import { cloudSuite } from './cloud-suite.ts';

cloudSuite({
  provider: 'azure',
  instanceType: 'Standard_B2s',
  regions: ['westeurope', 'northeurope'],
  account: { subscription: '00000000-0000-0000-0000-000000000001' },
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
      slow: (machineMs) => simulator.faults.set({ kind: 'transitions', machineMs }),
      close: () => simulator.close(),
    };
  },
});
