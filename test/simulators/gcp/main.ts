/**
 * A simulated Google Cloud to try things against: `node test/simulators/gcp/main.ts [port]` prints its endpoint and stays
 * until it is told to stop.
 */
import { startGcpSimulator } from './index.ts';

const simulator = await startGcpSimulator({ port: Number(process.argv[2] ?? 0) });
process.stdout.write(`${simulator.endpoint}\n`);
for (const signal of ['SIGTERM', 'SIGINT'] as const)
  process.once(signal, () => {
    void simulator.close().then(() => process.exit(0));
  });
