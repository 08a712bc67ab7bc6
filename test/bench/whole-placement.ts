/** Every benchmark of placement, one after the other; the last line sums them up. `npm run bench:placement` */
import { spawn } from 'node:child_process';
import { join } from 'node:path';

/** Runs one benchmark, shows what it prints, and answers its last line. */
function run(name: string): Promise<string> {
  return new Promise((done, failed) => {
    console.log(`\n== ${name}`);
    const child = spawn(process.execPath, [join(import.meta.dirname, `${name}.ts`)], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    let text = '';
    child.stdout.on('data', (data: Buffer) => {
      text += data.toString();
      process.stdout.write(data);
    });
    child.once('error', failed);
    child.once('close', (code) => {
      if (code === 0) done(text.trimEnd().split('\n').at(-1) ?? '');
      else failed(new Error(`the benchmark ${name} ended with ${code}`));
    });
  });
}

const last: string[] = [];
for (const name of ['placement', 'catalogue', 'batch', 'claims']) last.push(await run(name));
console.log(`\nsummary: ${last.join(' | ')}`);
