/** Takes down what the agent made on this host: libvirt, and with `--guests` the guests and the network too. */
import { parseArgs } from 'node:util';
import { lowerHost } from './host/prepare.ts';
import { usage } from './options.ts';

try {
  const { values } = parseArgs({
    options: {
      'data-dir': { type: 'string' },
      guests: { type: 'boolean', default: false },
      files: { type: 'boolean', default: false },
    },
  });
  const dataDir = values['data-dir'] ?? process.env.LANDFALL_AGENT_DATA_DIR ?? '/var/lib/landfall-agent';
  await lowerHost(dataDir, { guests: values.guests, files: values.files });
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : error}\n\n${usage}`);
  process.exitCode = 1;
}
