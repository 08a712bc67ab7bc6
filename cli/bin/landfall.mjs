#!/usr/bin/env node
/**
 * The `landfall` command. Plain JavaScript for Node 18 or newer: it finds Node 24, which runs the
 * TypeScript sources directly, and hands everything to it.
 */
import { homedir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { execNode24 } from '../../tools/node24.mjs';

// The stripped and compiled sources are kept, or every call would strip the types again.
process.env.NODE_COMPILE_CACHE ??= join(
  process.env.XDG_CACHE_HOME || join(homedir(), '.cache'),
  'landfall',
  'compiled',
);

await execNode24(fileURLToPath(new URL('../main.ts', import.meta.url)), process.argv.slice(2));
