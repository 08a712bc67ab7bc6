/**
 * A cloud's accounts as sites, over its simulator: the whole life of a machine, a worker killed in the middle of a create, and
 * a site that is down beside one that is not. Broker, worker, Temporal, PostgreSQL and the command line are real.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Instance, Schemas, Site } from '@landfall/model';
import { parse } from 'yaml';
import { eventually, Installation } from './installation.ts';
import { type Line, openLine } from './line.ts';

/** A simulated cloud as the suite sees it. */
export interface SimulatedCloud {
  endpoint: string;
  /** Machines that exist: their references, ours or not. */
  machines(): string[];
  /** Everything that exists of ours. */
  everything(): unknown[];
  /** How often a machine was created, stopped, started. */
  calls(what: 'create' | 'stop' | 'start'): number;
  /** Makes a machine of nobody's, and one that another tool manages, in the first or second region; answers its reference. */
  plant(region: string, name: string, by?: 'tool'): string;
  /** Makes a data disk of nobody's of 10 GiB, attached to nothing; answers its reference. */
  plantDisk(region: string, name: string): Promise<string>;
  /** Takes away what was planted. */
  remove(ref: string): Promise<void>;
  /** From now on, a machine takes this long to start. */
  slow(milliseconds: number): void;
  close(): Promise<void>;
}

export interface Cloud {
  provider: 'azure' | 'gcp';
  /** Of this provider alone. */
  instanceType: string;
  regions: [string, string];
  /** What the site's file has beside regions, endpoint and credentials. */
  account: Partial<Schemas['SiteSpec']>;
  start(): Promise<SimulatedCloud>;
}

/** Sent as credentials; seen nowhere else. */
const token = 'tok3n-that-nobody-may-see';

/** The tests of one cloud. */
export function cloudSuite({ provider, instanceType, regions, account, start }: Cloud): void {
  let installation: Installation;
  let one: SimulatedCloud;
  let two: SimulatedCloud;
  /** When the first became ready, in milliseconds since 1970. */
  let readyAt = 0;
  /** To the first. */
  let line: Line;
  const succeed: Installation['succeed'] = (...given) => installation.succeed(...given);

  beforeAll(async () => {
    [one, two] = await Promise.all([start(), start()]);
    line = await openLine(one.endpoint);
    installation = await Installation.start({
      parts: ['postgres', 'temporal', 'broker', 'worker'],
      env: { LANDFALL_VISIBILITY_GRACE_MS: '3000' },
    });
  }, 300_000);

  afterAll(async () => {
    await installation?.close();
    await line?.close();
    await one?.close();
    await two?.close();
  }, 120_000);

  const manifest = (kind: string, name: string, spec: object) =>
    installation.file(
      `${name}.json`,
      JSON.stringify({ apiVersion: 'landfall.dev/v1', kind, metadata: { name }, spec }),
    );
  /** A machine that only this provider can take. */
  const machine = (name: string, placement: object = {}) =>
    manifest('Instance', name, { image: 'debian-12', vcpus: 2, memoryGiB: 4, instanceType, placement });
  const siteFile = (name: string, spec: object) => manifest('Site', name, { provider, ...account, ...spec });
  const getSite = async (name: string) => JSON.parse(await succeed(`get site ${name} -o json`)) as Site;
  const get = async (name: string) => JSON.parse(await succeed(`get instance ${name} -o json`)) as Instance;
  const runs = (name: string) =>
    eventually(`${name} to run`, async () => (await get(name)).status.state === 'Running', 90_000);
  const clean = (machines: number) =>
    new RegExp(`^0 orphans, 0 missing, 0 doubled\\n${machines} instances? against ${machines} machines?`);

  test('site add adds two accounts by where their credentials are; both become ready and say what they can', async () => {
    const credentials = [
      { source: 'file', path: installation.file('token.json', JSON.stringify({ accessToken: token })) },
      { source: 'command', command: ['cat', installation.file('token', token)] },
    ];
    const slow = { regions: [regions[0]], credentials: { source: 'command', command: ['sleep', '600'] } };
    await succeed(['site', 'add', '-f', siteFile('slow', slow)]);
    for (const [index, name] of ['one', 'two'].entries()) {
      const file = siteFile(name, {
        regions: [regions[index]],
        endpoint: [line, two][index]!.endpoint,
        credentials: credentials[index],
      });
      expect(await succeed(['site', 'add', '-f', file])).toBe(`site/${name} created\n`);
      expect(await succeed(['site', 'add', '-f', file])).toBe(`site/${name} unchanged\n`);
    }
    for (const name of ['one', 'two'])
      await eventually(`site ${name}`, async () => /Ready/.test(await succeed(`get site ${name}`)), 60_000);
    readyAt = Date.parse((await getSite('one')).updatedAt);
    expect(await succeed('describe site one')).toMatch(
      /Can do\n.*\n +Instance +yes +adopt, console, create, delete, reboot, release, resize, /,
    );
  }, 120_000);

  test('apply lands an instance that only this provider can take; it is the machine that the provider has', async () => {
    const ran = await installation.landfall(['apply', '-f', machine('cloudy', { sites: ['one'] }), '--wait']);
    expect(ran).toMatchObject({ code: 0, stdout: 'instance/cloudy created\n' });
    expect(ran.stderr).toMatch(new RegExp(`cloudy runs at one/${regions[0]}`));
    const { status } = await get('cloudy');
    expect(status).toMatchObject({ provider, instanceType });
    expect(one.machines()).toEqual([status.externalReference]);
    expect(two.machines()).toEqual([]);
    expect(await succeed('console cloudy')).not.toBe('');
  }, 120_000);

  test('stop and start do the same at the provider', async () => {
    await succeed('stop instance cloudy --wait');
    expect((await get('cloudy')).status.state).toBe('Stopped');
    expect([one.calls('stop'), one.calls('start')]).toEqual([1, 0]);
    await succeed('start instance cloudy --wait');
    expect((await get('cloudy')).status.state).toBe('Running');
    expect(one.calls('start')).toBe(1);
  }, 120_000);

  test('a site whose credentials take too long held up no other, and says why it cannot be used', async () => {
    const slow = async () => (await getSite('slow')).status.state === 'Unavailable' && getSite('slow');
    const { status, updatedAt } = await eventually('the end of the patience', slow, 90_000);
    expect(status.message).toBe(
      "credentials: the program sleep took longer than 30 s; run it by hand as the worker's user to see what it says",
    );
    expect(Date.parse(updatedAt)).toBeGreaterThan(readyAt);
    await succeed('site delete slow');
  }, 120_000);

  test('a worker killed in the middle of the create leaves one machine more, and a clean audit', async () => {
    const before = one.calls('create');
    one.slow(4_000);
    const began = Date.now();
    await succeed(['apply', '-f', machine('killed', { sites: ['one'] })]);
    await eventually('the create', async () => one.calls('create') > before, 30_000);
    const dead = installation.stack.pids().worker;
    expect(installation.stack.kill('worker', 'SIGKILL')).toBe(true);
    expect((await get('killed')).status.state).toBe('Provisioning');
    await runs('killed');
    expect(installation.stack.pids().worker).not.toBe(dead);
    expect(one.machines()).toHaveLength(2);
    expect(one.machines()).toContain((await get('killed')).status.externalReference);
    expect(await succeed('audit')).toMatch(clean(2));
    console.log(
      `${provider}: a create that takes 4 s, its worker killed in the middle: running after ${Date.now() - began} ms, ${one.calls('create') - before} requests to create`,
    );
    one.slow(150);
  }, 150_000);

  test('discover shows what the provider has without Landfall; adopt makes it a managed instance, as it is', async () => {
    const ref = two.plant(regions[1], 'legacy');
    const node = two.plant(regions[1], 'node', 'tool');
    const table = await succeed('discover --site two');
    expect(table).toMatch(new RegExp(`Instance +legacy +${regions[1]} +\\d+ vCPU, .* running +${ref} +-\n`));
    expect(table).toMatch(new RegExp(`${node} +it is managed by `));
    expect(await installation.landfall(`adopt instance ${node} --as node --site two`)).toMatchObject({
      code: 5,
      stderr: expect.stringContaining('managed by'),
    });
    expect(await succeed(`adopt instance ${ref} --as legacy --site two --labels env=prod --wait`)).toBe(
      `instance/legacy adopting ${ref} at site/two\n`,
    );
    const { status, spec } = await get('legacy');
    expect(status).toMatchObject({ state: 'Running', adopted: true, externalReference: ref, provider });
    expect(spec).not.toHaveProperty('image');
    expect(two.machines().sort()).toEqual([ref, node].sort());
    expect(await succeed('discover --site two -o name')).toBe(`instance/${node}\n`);
    expect(await succeed('audit')).toMatch(clean(3));
    await succeed('stop instance legacy --wait');
    expect((await get('legacy')).status).toMatchObject({ state: 'Stopped', externalReference: ref });
    expect(await succeed('release instance legacy --yes --wait')).toBe('instance/legacy releasing\n');
    expect(await succeed('discover --site two -o name')).toMatch(`instance/${ref}\n`);
    expect(two.machines().sort()).toEqual([ref, node].sort());
    expect(await succeed('audit')).toMatch(clean(2));
    expect(await succeed('adopt --all --site two --name legacy --yes --wait')).toContain(
      `instance/legacy adopting ${ref} at site/two\n`,
    );
    expect((await get('legacy')).status).toMatchObject({ state: 'Stopped', externalReference: ref });
    expect(await installation.landfall('delete instance legacy --wait')).toMatchObject({
      code: 0,
      stderr: expect.stringContaining('itself'),
    });
    expect(two.machines()).toEqual([node]);
    await two.remove(node);

    // Neither does a disk change, or its name, and it is found by its labels or tags.
    const disk = await two.plantDisk(regions[1], 'data');
    const shown = new RegExp(`Volume +data +${regions[1]}\\S* +10 GiB +ready +${disk}\\s`);
    expect(await succeed('discover volumes --site two')).toMatch(shown);
    await succeed(`adopt volume ${disk} --as data --site two --wait`);
    const volume = JSON.parse(await succeed('get volume data -o json')) as Schemas['Volume'];
    expect(volume.spec).toMatchObject({ sizeGiB: 10 });
    expect(volume.status).toMatchObject({ state: 'Ready', adopted: true, externalReference: disk });
    expect(await succeed('audit')).toMatch(clean(2));
    expect(await succeed('release volume data --yes --wait')).toBe('volume/data releasing\n');
    expect(await succeed('discover volumes --site two')).toMatch(shown);
    await succeed(`adopt volume ${disk} --as again --site two --wait`);
    await succeed('delete volume again --wait');
    expect(await succeed('discover volumes --site two -o name')).not.toContain(disk);
  }, 150_000);

  test('a site that is black-holed slows no other, and goes on when it is back', async () => {
    const timed = async (name: string) => {
      const started = Date.now();
      await succeed(['apply', '-f', machine(name, { sites: ['two'] }), '--wait']);
      return Date.now() - started;
    };
    const usual = await timed('usual');
    line.cut(true);
    await succeed(['apply', '-f', machine('stuck', { sites: ['one'] })]);
    await eventually('a call that hangs', async () => line.hanging() > 0, 60_000);
    const meanwhile = await timed('meanwhile');
    console.log(
      `${provider}: a create at the other site took ${usual} ms before, ${meanwhile} ms while one is black-holed`,
    );
    expect(meanwhile).toBeLessThan(3 * usual + 10_000);
    expect((await get('stuck')).status.state).toBe('Provisioning');
    line.cut(false);
    await runs('stuck');
    expect(one.machines()).toHaveLength(3);
  }, 240_000);

  test('after delete nothing is left at either, and the audit is clean', async () => {
    await succeed('delete instance cloudy killed stuck usual meanwhile --wait');
    expect([one.everything(), two.everything()]).toEqual([[], []]);
    expect(await succeed('audit')).toMatch(clean(0));
  }, 120_000);

  test('landfall simulate prints a site and an instance that can be applied as they stand, and ends on Ctrl-C', async () => {
    const simulating = installation.go(`simulate ${provider}`);
    const printed = () =>
      [...simulating.stdout().matchAll(/<<'END'\n([\s\S]*?)\nEND/g)].map(([, text]) => text!);
    await eventually('the simulator', async () => /site delete/.test(simulating.stdout()), 60_000);
    const [site, instance] = printed();
    const name = `simulated-${provider}`;
    await succeed('site add -f -', { input: site });
    await eventually(`site ${name}`, async () => /Ready/.test(await succeed(`get site ${name}`)), 60_000);
    await succeed('apply --wait -f -', { input: instance });
    const { status } = await get(`on-${provider}`);
    expect(status).toMatchObject({ state: 'Running', site: name, provider });
    await succeed(`delete instance on-${provider} --wait`);
    await succeed(`site delete ${name}`);
    const { endpoint } = parse(site!).spec as { endpoint: string };
    expect(await simulating.interrupt()).toMatchObject({ code: 0 });
    await expect(fetch(endpoint)).rejects.toThrow();
  }, 150_000);

  test('the credentials are in no log, no answer, no history and no row', async () => {
    const seen = new Map<string, boolean>();
    for (const entry of readdirSync(installation.dataDir, { recursive: true, withFileTypes: true })) {
      if (!entry.isFile()) continue;
      const path = join(entry.parentPath, entry.name);
      seen.set(path, readFileSync(path).includes(token));
    }
    const names = [...seen.keys()].join('\n');
    for (const looked of ['worker', 'broker', 'temporal.db', 'pg_wal']) expect(names).toContain(looked);
    expect([...seen].filter(([, has]) => has).map(([path]) => path)).toEqual([]);
  });
}
