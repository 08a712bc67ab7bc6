import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { temporalLaunch } from './temporal.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'landfall-launch-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

const isFair = () => temporalLaunch('temporal', folder, 7233).args.includes('matching.enableFairness=true');
const serverMadeItsDatabase = () => writeFileSync(join(folder, 'temporal', 'temporal.db'), '');

test('a new data folder has fair task queues, and keeps them', () => {
  expect(isFair()).toBe(true);
  serverMadeItsDatabase();
  expect(isFair()).toBe(true);
});

test('an older data folder is not switched: what waits in its queues would be lost', () => {
  mkdirSync(join(folder, 'temporal'));
  serverMadeItsDatabase();
  expect(isFair()).toBe(false);
  expect(isFair()).toBe(false);
});
