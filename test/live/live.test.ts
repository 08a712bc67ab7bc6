import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { ensureReady } from '@landfall/adapters/conformance/probe.ts';
import { root } from '@landfall/tools/node24.mjs';
import { type GcpSimulator, startGcpSimulator } from '../simulators/gcp/index.ts';
import { ledgered, readLedger, standingsOf } from './ledger.ts';
import { boundOf, mostAtOnce, type Rates, spentOf, whyStop } from './spend.ts';
import { type LiveAccount, openLive } from './subject.ts';
import { sweep } from './sweep.ts';
import { watchProcess } from './watch.ts';

const minute = 60_000;
const rates: Rates = {
  Instance: 0.06,
  Volume: 0.01,
  Snapshot: 0.01,
  Image: 0.01,
  Address: 0.005,
  Network: 0,
  Firewall: 0,
};

let simulator: GcpSimulator;
let folder: string;
beforeAll(async () => {
  simulator = await startGcpSimulator();
  folder = mkdtempSync(join(tmpdir(), 'landfall-live-test-'));
}, 300_000);
afterAll(async () => {
  await simulator?.close();
  rmSync(folder, { recursive: true, force: true });
});

function accountOf(run: string): LiveAccount {
  return {
    run,
    spec: {
      provider: 'gcp',
      regions: ['us-central1'],
      project: 'simulated-project',
      endpoint: simulator.endpoint,
      credentials: { source: 'command', command: ['echo', '{"accessToken":"simulated"}'] },
    },
  };
}

/** The account's file, as `landfall site add` takes it. */
function siteFile(spec: object): string {
  const file = join(folder, `site-${Math.random()}.json`);
  writeFileSync(file, JSON.stringify({ kind: 'Site', metadata: { name: 'live' }, spec }));
  return file;
}

interface Program {
  child: ChildProcess;
  /** What it printed and how it ended. */
  ended: Promise<{ text: string; code: number | null }>;
}

/** The command itself, with nothing in its environment that could be an account's credentials. */
function testLive(...args: string[]): Program {
  const env = {
    PATH: process.env.PATH,
    HOME: folder,
    AWS_EC2_METADATA_DISABLED: 'true',
    GOOGLE_APPLICATION_CREDENTIALS: '/nowhere/key.json',
    GOOGLE_CLOUD_PROJECT: 'none',
    LANDFALL_CACHE_DIR: process.env.LANDFALL_CACHE_DIR,
  };
  const child = spawn(process.execPath, ['--no-warnings', 'test/live/run.ts', ...args], { cwd: root, env });
  let text = '';
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', (part: string) => {
      text += part;
    });
  return { child, ended: once(child, 'close').then(([code]) => ({ text, code })) };
}

/** A machine of somebody who uses the same account. */
function neighbour(): string {
  return simulator.plant('simulated-project', 'us-central1-b', `neighbour-${Date.now()}`, {});
}

/** What exists but for the disks of planted machines, which have no name of their own. */
const machinesAndNetworks = () =>
  simulator.truth().filter(({ providerKind }) => ['instance', 'network', 'firewall'].includes(providerKind));

describe('what a live run may cost', () => {
  test('the bound is the most of each kind at once for all of the time', () => {
    const most = mostAtOnce.Instance * 0.06 + mostAtOnce.Volume * 0.01 + mostAtOnce.Snapshot * 0.01;
    const rest = mostAtOnce.Image * 0.01 + mostAtOnce.Address * 0.005;
    expect(boundOf(rates, 90)).toBeCloseTo((most + rest) * 1.5);
  });

  test('what was removed costs until then, what stands goes on, and nothing less than a minute', () => {
    const standings = standingsOf([
      { at: 0, kind: 'Instance', id: 'a' },
      { at: 1000, kind: 'Instance', id: 'b' },
      { at: 2000, kind: 'Instance', id: 'b', removed: true },
      // Ensured again, it is still the same.
      { at: 3000, kind: 'Instance', id: 'a' },
    ]);
    expect(spentOf(standings, rates, 10 * minute)).toBeCloseTo(0.06 * (10 / 60) + 0.06 / 60);
  });

  test('the run stops in time for the sweep to stay under the cap, and where more stands than was reckoned with', () => {
    const standings = standingsOf([{ at: 0, kind: 'Instance', id: 'a' }]);
    // 0.06 an hour, and twenty minutes of it kept back: 0.04 are reached after twenty.
    expect(whyStop(standings, rates, 0.04, 19 * minute)).toBeUndefined();
    expect(whyStop(standings, rates, 0.04, 21 * minute)).toMatch(/the cap is \$0\.04/);
    const many = Array.from({ length: mostAtOnce.Instance + 1 }, (_, n) => ({
      at: n,
      kind: 'Instance' as const,
      id: `${n}`,
    }));
    expect(whyStop(standingsOf(many.slice(1)), rates, 100, minute)).toBeUndefined();
    expect(whyStop(standingsOf(many), rates, 100, minute)).toMatch(/11 of kind Instance stood at once/);
  });

  test('the suites’ process is ended when the estimate reaches the cap', async () => {
    const dear = { ...rates, Instance: 1000 };
    const began = Date.now();
    const watched = await watchProcess(
      { rates: dear, capUsd: 2, minutes: 10, signal: new AbortController().signal },
      (ledger) => {
        writeFileSync(ledger, `${JSON.stringify({ at: Date.now(), kind: 'Instance', id: 'a' })}\n`);
        return spawn(process.execPath, ['-e', 'setTimeout(() => {}, 60_000)'], { stdio: 'ignore' });
      },
    );
    expect(watched).toMatchObject({ passed: false, stopped: expect.stringMatching(/the cap is \$2/) });
    expect(Date.now() - began).toBeLessThan(30_000);
  });

  test('nothing is made any more once the process that watches the spend has ended', async () => {
    const file = join(folder, 'ledger.jsonl');
    writeFileSync(file, '');
    const live = await openLive(accountOf('live-00000000aa'));
    // Not this process's parent.
    const subject = ledgered(live, file, process.pid);
    const want = subject.want('11111111-1111-4111-8111-111111111111', 1);
    await expect(ensureReady(await subject.adapter(), want)).rejects.toThrow(/nothing more is made/);
    await expect(subject.plantForeign('r')).rejects.toThrow(/nothing more is made/);
    expect(await live.remains()).toEqual([]);
    expect(readLedger(file)).toEqual([]);
  });

  test.each([
    ['aws', { provider: 'aws', regions: ['us-east-1'] }, /Could not load credentials/],
    [
      'azure',
      {
        provider: 'azure',
        regions: ['westeurope'],
        subscription: '00000000-0000-0000-0000-000000000001',
        credentials: { source: 'environment', prefix: 'NOBODY' },
      },
      /NOBODY_TENANT_ID/,
    ],
    ['gcp', { provider: 'gcp', regions: ['us-central1'], project: 'none' }, /\/nowhere\/key\.json/],
  ])('%s without credentials is refused, and says where to give them', async (provider, spec, reason) => {
    const { text, code } = await testLive(provider, '-f', siteFile(spec)).ended;
    expect(text).toMatch(reason);
    expect(text).toMatch(/Nothing was made\. Where credentials are missing/);
    expect(text).not.toMatch(/\n {4}at /);
    expect(code).toBe(2);
  });

  test('a bound above the cap is refused before anything is made', async () => {
    const calls = simulator.calls.length;
    const { spec } = accountOf('');
    const { text, code } = await testLive('gcp', '-f', siteFile(spec), '--spend-cap', '0.1').ended;
    expect(text).toMatch(/at most \$0\.\d\d: 10 Instance/);
    expect(text).toMatch(/above the cap of \$0\.1: give --spend-cap 0\.\d+/);
    expect(code).toBe(2);
    const made = simulator.calls.slice(calls).filter(({ method }) => method.endsWith('.insert'));
    expect(made).toEqual([]);
  });
});

describe('the sweep after a live run', () => {
  test('a run that is interrupted in the middle leaves nothing, and the neighbours alone', async () => {
    const theirs = neighbour();
    const before = machinesAndNetworks().map(({ ref }) => ref);
    const { spec } = accountOf('');
    const { child, ended } = testLive('gcp', '-f', siteFile(spec));
    let made = 0;
    for (let looks = 0; looks < 3000 && made === 0; looks += 1) {
      await sleep(100);
      made = machinesAndNetworks().filter(({ ref }) => !before.includes(ref)).length;
    }
    expect(made).toBeGreaterThan(0);
    child.kill('SIGINT');
    const { text, code } = await ended;
    expect(text).toMatch(/stopped: SIGINT/);
    expect(text).toMatch(/swept: nothing of the run is left/);
    expect(code).toBe(1);
    expect(machinesAndNetworks().map(({ ref }) => ref)).toEqual(before);
    expect(before).toContain(theirs);
  }, 600_000);

  test('what a killed run left is removed by its name, or told with the reason and a code of failure', async () => {
    const theirs = neighbour();
    const before = machinesAndNetworks().map(({ ref }) => ref);
    const account = accountOf('live-00000000bb');
    const subject = await openLive(account);
    const adapter = await subject.adapter();
    await ensureReady(adapter, subject.want('22222222-2222-4222-8222-222222222222', 1));
    for (const kind of ['Instance', 'Volume', 'Snapshot', 'Image', 'Network', 'Firewall', 'Address'] as const)
      for (const broker of [undefined, 'other-broker']) await subject.plantForeign('r', broker, kind);
    expect((await subject.remains()).length).toBeGreaterThan(15);

    simulator.faults.set({ kind: 'denied', method: 'compute.instances.delete', times: 1_000_000 });
    const args = ['gcp', '-f', siteFile(account.spec), '--sweep', account.run];
    const failed = await testLive(...args, '--minutes', '0.1').ended;
    simulator.faults.clear();
    expect(failed.text).toMatch(/NOT REMOVED, and costing money: \d/);
    expect(failed.text).toMatch(/zones\/us-central1-b\/instances\/landfall-\w+: .*instances/);
    expect(failed.text).toContain('--sweep live-00000000bb');
    expect(failed.code).toBe(1);

    const swept = await testLive(...args).ended;
    expect(swept.text).toMatch(/swept: nothing of the run is left/);
    expect(swept.code).toBe(0);
    expect(await subject.remains()).toEqual([]);
    expect(machinesAndNetworks().map(({ ref }) => ref)).toEqual(before);
    expect(before).toContain(theirs);
  }, 600_000);

  test('what comes to be only after a first look at an empty account is removed as well', async () => {
    const subject = await openLive(accountOf('live-00000000cc'));
    const found: number[] = [];
    const left = await sweep({
      ...subject,
      async remains() {
        const refs = await subject.remains();
        found.push(refs.length);
        // Asked for before the run ended, and there only now.
        if (found.length === 1) await subject.plantForeign('r');
        return refs;
      },
    });
    expect(left).toEqual([]);
    expect(found[0]).toBe(0);
    expect(await subject.remains()).toEqual([]);
  });
});
