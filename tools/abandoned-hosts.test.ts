import { spawnSync } from 'node:child_process';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { abandoned } from './abandoned-hosts.ts';

const inTemporary = (name: string) => join(tmpdir(), name);

test('the host of a test whose process is no more is abandoned, that of a living one is not', () => {
  const { pid } = spawnSync(process.execPath, ['-e', '']);
  const dead = inTemporary(`landfall-e2e-${pid}-a1B2c3/data/onprem`);
  expect(
    abandoned([
      dead,
      inTemporary(`landfall-kvm-${pid}-a1B2c3`),
      inTemporary(`landfall-kvm-${process.pid}-a1B2c3`),
    ]),
  ).toEqual([dead, inTemporary(`landfall-kvm-${pid}-a1B2c3`)]);
});

test("a user's host is never abandoned, whatever its folder is called", () => {
  const { pid } = spawnSync(process.execPath, ['-e', '']);
  expect(
    abandoned([
      '/var/lib/landfall-agent',
      `/home/me/landfall-e2e-${pid}-a1B2c3/data/onprem`,
      inTemporary('landfall-try/onprem'),
      inTemporary('landfall-e2e-K0wPFO/data/onprem'),
    ]),
  ).toEqual([]);
});
