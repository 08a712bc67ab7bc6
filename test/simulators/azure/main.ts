/**
 * A simulated Azure to try things against: `node test/simulators/azure/main.ts [port]` prints its endpoint and stays
 * until it is told to stop.
 */
import { startAzureSimulator } from './index.ts';

const simulator = await startAzureSimulator({ port: Number(process.argv[2] ?? 0) });
process.stdout.write(`${simulator.endpoint}\n`);
for (const signal of ['SIGTERM', 'SIGINT'] as const)
  process.once(signal, () => {
    void simulator.close().then(() => process.exit(0));
  });
