import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CallRecord } from '@landfall/adapters/provider-calls.ts';
import { run } from './command.ts';

test('a step keeps each program that it runs, with its verb and how it ended, and nothing of its arguments', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'landfall-programs-'));
  const program = (name: string): string => {
    const path = join(folder, name);
    writeFileSync(path, '#!/bin/sh\ncase "$*" in *absent*) echo secret >&2; exit 3;; esac\n');
    chmodSync(path, 0o755);
    return path;
  };
  const [virsh, qemu, nft] = [program('virsh'), program('qemu-img'), program('nft')];
  const record = new CallRecord();
  try {
    await record.during(async () => {
      const connected = ['-q', '-c', 'qemu:///secret'];
      await run(virsh, [...connected, 'dumpxml', 'absent']).catch(() => undefined);
      await run(virsh, [...connected, 'dumpxml secret; dumpxml other']);
      await run(qemu, ['create', '-q', 'secret']);
      await run(nft, ['-f', 'secret'], { input: 'secret' });
      await run(join(folder, 'not-there'), []).catch(() => undefined);
    });
  } finally {
    rmSync(folder, { recursive: true });
  }
  const { calls } = record.end();
  expect(calls.map(({ call, code }) => [call, code])).toEqual([
    ['virsh dumpxml', 'exit 3'],
    ['virsh dumpxml', undefined],
    ['qemu-img create', undefined],
    ['nft', undefined],
    ['not-there', 'ENOENT'],
  ]);
  expect(JSON.stringify(calls)).not.toContain('secret');
});
