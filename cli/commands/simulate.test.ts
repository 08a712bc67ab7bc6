import { Readable } from 'node:stream';
import { parse } from 'yaml';
import { run } from '../program.ts';
import { Session } from '../session.ts';
import type { Terminal } from '../terminal.ts';
import { simulate, simulatedSite } from './simulate.ts';

/** A terminal that tells what was written so far to `onOut`, which may press Ctrl-C. */
function terminalWith(onOut: (soFar: string, interrupt: () => void) => void) {
  const interruption = new AbortController();
  const written = { out: '', err: '' };
  const terminal: Terminal = {
    out: (text) => {
      written.out += text;
      onOut(written.out, () => interruption.abort());
    },
    err: (text) => {
      written.err += text;
    },
    stdin: Readable.from([]),
    outIsTTY: false,
    errIsTTY: false,
    columns: 100,
    env: { PATH: process.env.PATH },
    cwd: process.cwd(),
    interrupted: interruption.signal,
  };
  return { terminal, written };
}

test('simulate starts a cloud that answers, prints a site and an instance to apply, and ends on Ctrl-C', async () => {
  let answered: Promise<number> | undefined;
  let endpoint = '';
  const { terminal, written } = terminalWith((soFar, interrupt) => {
    endpoint = /http:\/\/127\.0\.0\.1:\d+/.exec(soFar)?.[0] ?? '';
    answered ??= fetch(`${endpoint}/compute/v1/projects/p/regions/europe-west1`)
      .then(({ status }) => status)
      .finally(interrupt);
  });
  expect(await run(['simulate', 'gcp'], terminal)).toBe(0);
  expect(await answered).toBe(200);
  const [site, instance] = [...written.out.matchAll(/<<'END'\n([\s\S]*?)\nEND/g)].map(([, text]) =>
    parse(text!),
  );
  expect(site).toEqual(simulatedSite('gcp', endpoint));
  expect(instance.spec.placement.sites).toEqual([site.metadata.name]);
  await expect(fetch(endpoint)).rejects.toThrow();
}, 120_000);

test('-o json gives the endpoint and the site to programs', async () => {
  const { terminal, written } = terminalWith((_, interrupt) => interrupt());
  expect(await run(['simulate', 'gcp', '-o', 'json'], terminal)).toBe(0);
  const { endpoint, site } = JSON.parse(written.out);
  expect(site).toEqual(simulatedSite('gcp', endpoint));
}, 120_000);

test('another provider or port is refused before anything starts; where there is no checkout it says what to do', async () => {
  const { terminal, written } = terminalWith(() => {});
  expect(await run(['simulate', 'azur'], terminal)).toBe(2);
  expect(written.err).toMatch(/There is no simulator of "azur"[\s\S]*azure/);
  expect(await run(['simulate', 'gcp', '--port', 'http'], terminal)).toBe(2);
  await expect(simulate(new Session(terminal, {}), 'gcp', {}, '/nowhere/main.ts')).rejects.toMatchObject({
    message: 'This installation of landfall has no simulators.',
    hint: expect.stringContaining('npm run simulate:aws'),
  });
});

test('a simulator that ends by itself is a failure', async () => {
  const { terminal } = terminalWith(() => {});
  const broken = new URL('../fake/no-simulator.mjs', import.meta.url).pathname;
  await expect(simulate(new Session(terminal, {}), 'aws', {}, broken)).rejects.toMatchObject({
    message: 'The simulator of aws ended by itself (7).',
  });
});
