import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';

/** A short run of the harness; the long one is `npm run test:faults`. */
test('after kill -9 of every part, on AWS (simulated) and on real guests, nothing is lost, doubled or leaked', async () => {
  const harness = fileURLToPath(new URL('./run.ts', import.meta.url));
  const child = spawn(process.execPath, [harness, '--kills', '10', '--seed', '11'], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  child.stdout.on('data', (chunk: Buffer) => {
    output += chunk;
  });
  child.stderr.on('data', (chunk: Buffer) => {
    output += chunk;
  });
  const code = await new Promise<number | null>((resolve) => child.once('exit', resolve));
  if (code !== 0) console.log(output);
  expect(output).toContain('lost 0, doubled 0, orphans 0, missing 0, left at the provider 0');
  expect(output).toMatch(/kills 10 /);
  expect(code).toBe(0);
}, 600_000);
