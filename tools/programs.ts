/** The programs that are Landfall's own, and how the supervisor starts them. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { type Part, parts } from './data-directory.ts';
import { root } from './node24.mjs';
import type { Launch } from './supervise.ts';

/** The programs by part; PostgreSQL and Temporal are not ours. */
export const programs = {
  broker: 'broker/main.ts',
  worker: 'workflows/main.ts',
  agent: 'onprem-agent/main.ts',
} as const;

export type Program = keyof typeof programs;

/** Whether a program is in this checkout. */
export function programExists(program: Program): boolean {
  return existsSync(join(root, programs[program]));
}

/** The parts that can be started: PostgreSQL, Temporal and every program that exists. */
export function existingParts(): Part[] {
  return parts.filter((part) => !(part in programs) || programExists(part as Program));
}

/** What programs are told about the stack they belong to. */
export interface Surroundings {
  dataDir: string;
  databaseUrl: string;
  temporalAddress: string;
  brokerPort: number;
  url: string;
  site: string;
  host: string;
  env?: Record<string, string | undefined>;
}

/** How to start one of our programs. */
export function programLaunch(program: Program, around: Surroundings): Launch {
  const args = ['--enable-source-maps', join(root, programs[program])];
  if (program === 'agent') {
    args.push('--site', around.site, '--host', around.host);
    args.push('--broker-url', around.url, '--token-file', join(around.dataDir, 'agent.token'));
    args.push('--temporal-address', around.temporalAddress, '--data-dir', join(around.dataDir, 'onprem'));
  }
  return {
    command: process.execPath,
    args,
    cwd: root,
    env: {
      ...process.env,
      ...around.env,
      LANDFALL_DATA_DIR: around.dataDir,
      DATABASE_URL: around.databaseUrl,
      TEMPORAL_ADDRESS: around.temporalAddress,
      LANDFALL_URL: around.url,
      // For the broker alone: the agent reads LANDFALL_HOST as the name of its host.
      LANDFALL_HOST: program === 'broker' ? '127.0.0.1' : undefined,
      LANDFALL_PORT: program === 'broker' ? String(around.brokerPort) : undefined,
    },
  };
}
