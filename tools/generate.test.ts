import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Generator, generate, generators } from './generate.ts';

test('writes what is stale, names it, and checks without writing', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'landfall-generate-test-'));
  try {
    const [types] = generators as [Generator];
    const list: Generator[] = [{ ...types, input: 'openapi.yaml', output: 'generated/api.ts' }];
    const document = (path: string) =>
      `openapi: 3.1.0\ninfo: {title: t, version: '1'}\npaths:\n  ${path}:\n    get: {operationId: getIt, responses: {'200': {description: ok}}}\n`;
    await expect(generate(folder, { check: true }, list)).rejects.toThrow('openapi.yaml');
    writeFileSync(join(folder, 'openapi.yaml'), document('/one'));
    expect(await generate(folder, { check: true }, list)).toEqual(['generated/api.ts']);
    expect(await generate(folder, { check: false }, list)).toEqual(['generated/api.ts']);
    expect(readFileSync(join(folder, 'generated/api.ts'), 'utf8')).toContain('"/one"');
    expect(await generate(folder, { check: true }, list)).toEqual([]);
    writeFileSync(join(folder, 'openapi.yaml'), document('/two'));
    expect(await generate(folder, { check: true }, list)).toEqual(['generated/api.ts']);
    expect(readFileSync(join(folder, 'generated/api.ts'), 'utf8')).not.toContain('"/two"');
  } finally {
    rmSync(folder, { recursive: true });
  }
}, 120_000);
