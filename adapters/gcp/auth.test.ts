import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';

test('without credentials a call is refused, and the process lives', async () => {
  const program = `
    import { createGcpAdapter } from ${JSON.stringify(join(import.meta.dirname, 'index.ts'))};
    const adapter = createGcpAdapter({ site: 'none', regions: ['us-central1'], project: 'none' });
    for (let call = 1; call <= 2; call += 1)
      await adapter.quota('us-central1').catch((error) => console.log(error.code, error.message));
    setTimeout(() => console.log('alive'), 100);
  `;
  // A file that is not there: nothing else is looked for then, and nothing is asked over the net.
  const env = { ...process.env, GOOGLE_APPLICATION_CREDENTIALS: '/nowhere/key.json' };
  const args = ['--no-warnings', '--input-type=module', '-e', program];
  const { stdout } = await promisify(execFile)(process.execPath, args, { env });
  const refused = expect.stringMatching(/^Unavailable .*\/nowhere\/key\.json/);
  expect(stdout.trim().split('\n')).toEqual([refused, refused, 'alive']);
});
