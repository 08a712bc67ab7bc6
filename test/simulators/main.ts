/**
 * A simulated cloud to try things against, as `landfall simulate` starts it:
 *
 *   node test/simulators/main.ts aws|azure|gcp [port]
 *
 * Prints its endpoint, and stays until it is told to stop or its input ends, so that it does not outlive who started it.
 */
const start = {
  aws: async (port: number) => (await import('./aws/index.ts')).startAwsSimulator({ port }),
  azure: async (port: number) => (await import('./azure/index.ts')).startAzureSimulator({ port }),
  gcp: async (port: number) => (await import('./gcp/index.ts')).startGcpSimulator({ port }),
};

const [provider = '', port = '0'] = process.argv.slice(2);
if (!(provider in start)) {
  process.stderr.write('usage: node test/simulators/main.ts aws|azure|gcp [port]\n');
  process.exit(2);
}

try {
  const simulator = await start[provider as keyof typeof start](Number(port));
  process.stdout.write(`${simulator.endpoint}\n`);
  let closing = false;
  const close = () => {
    if (!closing) void simulator.close().then(() => process.exit(0));
    closing = true;
  };
  process.once('SIGTERM', close).once('SIGINT', close);
  process.stdin.resume().once('end', close).once('close', close);
} catch (error) {
  process.stderr.write(`${(error as Error).message}\n`);
  process.exit(1);
}
