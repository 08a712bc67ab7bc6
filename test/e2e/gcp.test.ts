/** Google Cloud projects as sites, against the Compute Engine simulator. */
import { startGcpSimulator } from '../simulators/gcp/index.ts';
import { cloudSuite } from './cloud-suite.ts';

cloudSuite({
  provider: 'gcp',
  instanceType: 'e2-medium',
  regions: ['europe-west1', 'us-central1'],
  account: { project: 'simulated-project' },
  async start() {
    const simulator = await startGcpSimulator();
    const methods = {
      create: 'compute.instances.insert',
      stop: 'compute.instances.stop',
      start: 'compute.instances.start',
    };
    return {
      endpoint: simulator.endpoint,
      machines: () =>
        simulator
          .truth()
          .filter(({ providerKind }) => providerKind === 'instance')
          .map(({ ref }) => ref),
      everything: () => simulator.truth(),
      calls: (what) => simulator.calls.filter(({ method }) => method === methods[what]).length,
      plant: (region, name, by) =>
        simulator.plant(
          'simulated-project',
          `${region}-b`,
          name,
          by ? { 'goog-k8s-cluster-name': 'prod' } : { team: 'shop' },
        ),
      plantDisk: (region, name) =>
        simulator.plantOther('simulated-project', `zones/${region}-b`, 'disks', {
          name,
          labels: { team: 'shop' },
          sizeGb: '10',
        }),
      remove: (ref) => simulator.destroy(ref),
      slow: (startMs) => simulator.faults.set({ kind: 'transitions', startMs }),
      close: () => simulator.close(),
    };
  },
});
