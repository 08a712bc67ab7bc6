/** The process behind the editor's MCP server: the tools that read, for the broker that the environment names. */
import { readFileSync } from 'node:fs';
import { serveMcp } from '@landfall/mcp/server.ts';
import { BrokerConnection } from '../broker/connection.ts';

const { LANDFALL_URL: url, LANDFALL_PROJECT: project = 'default', LANDFALL_TOKEN: token } = process.env;
if (url === undefined) {
  process.stderr.write('LANDFALL_URL is not set: the editor starts this program, with the address in it.\n');
  process.exit(2);
}
const broker = new BrokerConnection(
  { name: 'mcp', url, project, from: 'settings' },
  { token: async () => token, refused: () => undefined },
);
const { version } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8'));
const interruption = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => interruption.abort());
await serveMcp({ broker, allowWrites: false, version, interrupted: interruption.signal });
process.exit(0);
