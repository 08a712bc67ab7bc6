/** The command lines of `npm run up` and `npm run down`. */
import { parseArgs } from 'node:util';
import { dataDirectory } from './data-directory.ts';

/** What `up` was asked for. */
export interface UpOptions {
  dataDir: string;
  port?: number;
  onprem: boolean;
  detach: boolean;
  help: boolean;
  /** Internal: this process is the one in the background; everything is prepared already. */
  background: boolean;
}

/** What `down` was asked for. */
export interface DownOptions {
  dataDir: string;
  guests: boolean;
  help: boolean;
}

export const upUsage = `usage: npm run up -- [options]

  --detach          leave Landfall in the background and give the prompt back
  --port <port>     the broker's port (default 7420, or the last one)
  --data-dir <dir>  where everything is kept (default .landfall)
  --no-onprem       without the on-prem host
  --help            this

Environment: DATABASE_URL and TEMPORAL_ADDRESS name servers to use instead of the ones that come with it;
LANDFALL_DATA_DIR, LANDFALL_CACHE_DIR and LANDFALL_PORT are the defaults of their options.
`;

export const downUsage = `usage: npm run down -- [options]

  --data-dir <dir>  where everything is kept (default .landfall)
  --guests          also remove the on-prem guests and the private libvirt
  --help            this
`;

/** A command line that cannot be understood. */
export class UsageError extends Error {}

function parse<T>(work: () => T, usage: string): T {
  try {
    return work();
  } catch (error) {
    throw new UsageError(`${(error as Error).message}\n\n${usage}`, { cause: error });
  }
}

function portOf(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const port = Number(text);
  if (!Number.isInteger(port) || port < 1 || port > 65_535)
    throw new Error(`--port wants a number from 1 to 65535, not ${text}`);
  return port;
}

export function parseUp(args: string[], env: NodeJS.ProcessEnv = process.env): UpOptions {
  return parse(() => {
    const { values } = parseArgs({
      args,
      allowNegative: true,
      options: {
        'data-dir': { type: 'string' },
        port: { type: 'string' },
        onprem: { type: 'boolean', default: true },
        detach: { type: 'boolean', default: false, short: 'd' },
        help: { type: 'boolean', default: false, short: 'h' },
        background: { type: 'boolean', default: false },
      },
    });
    return {
      dataDir: dataDirectory(values['data-dir']),
      port: portOf(values.port ?? env.LANDFALL_PORT),
      onprem: values.onprem,
      detach: values.detach,
      help: values.help,
      background: values.background,
    };
  }, upUsage);
}

export function parseDown(args: string[]): DownOptions {
  return parse(() => {
    const { values } = parseArgs({
      args,
      options: {
        'data-dir': { type: 'string' },
        guests: { type: 'boolean', default: false },
        help: { type: 'boolean', default: false, short: 'h' },
      },
    });
    return { dataDir: dataDirectory(values['data-dir']), guests: values.guests, help: values.help };
  }, downUsage);
}
