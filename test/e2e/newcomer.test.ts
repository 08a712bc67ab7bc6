/** What a newcomer does, command by command, in the order of docs/cli.md, on one installation with this machine as a host. */
import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import type { Instance } from '@landfall/model';
import { parse } from 'yaml';
import { eventually, type Going, Installation, repository } from './installation.ts';

let installation: Installation;
let watch: Going;
const landfall: Installation['landfall'] = (...given) => installation.landfall(...given);
const succeed: Installation['succeed'] = (...given) => installation.succeed(...given);

beforeAll(async () => {
  installation = await Installation.start({ env: { LANDFALL_EXPIRY_MS: '2000', LANDFALL_SWEEP_MS: '3000' } });
}, 300_000);

afterAll(async () => {
  await installation?.close();
}, 120_000);

/** The cells of a table by its header, for the row that begins with `name`. */
function row(table: string, name: string): Record<string, string> {
  const [header = '', ...rows] = table.trimEnd().split('\n');
  const line = rows.find((each) => each.split(/\s+/)[0] === name);
  if (line === undefined) throw new Error(`no row ${name} in:\n${table}`);
  const starts = [...header.matchAll(/\S+(?: \S+)*/g)].map((match) => [match[0], match.index] as const);
  const cells = line.split(/ {2,}/);
  if (cells.length !== starts.length) throw new Error(`the table does not line up:\n${table}`);
  return Object.fromEntries(starts.map(([title], index) => [title, cells[index] ?? '']));
}

const first = async () => JSON.parse(await succeed('get instance first -o json')) as Instance;

test('get sites shows the site of this machine, ready, with its host', async () => {
  const sites = row(await succeed('get sites'), 'local');
  expect(sites).toMatchObject({
    STATE: 'Ready',
    PROVIDER: 'onprem',
    REGIONS: 'local',
    HOSTS: '1',
    INSTANCES: '0',
  });
  expect(await succeed('get hosts')).toMatch(/Ready +local/);
}, 60_000);

test('plan -f examples/anywhere.yaml says where, at what price and why, in its first three lines, and creates nothing', async () => {
  const [where, price, why, ...rest] = (await succeed('plan -f examples/anywhere.yaml --full')).split('\n');
  expect(where).toMatch(/^instance\/web lands on \S+ .*\(2 vCPU, 4 GiB, x86_64, onDemand\)$/);
  expect(price).toMatch(/^\$\d+\.\d+ an hour, \$\d+\.\d+ a month/);
  expect(why).toMatch(/^the cheapest of [\d,]+ compliant offers \([\d,]+ considered\)$/);
  const text = rest.join('\n');
  for (const provider of ['aws', 'azure', 'gcp']) expect(text).toContain(`snapshot/${provider}`);
  expect(text).toMatch(/Funnel\n +STAGE +REMAINING +DROPPED\n +all offers/);
  expect(text).toContain('method exact, gap 0');
  const nothing = await landfall('get instances');
  expect(nothing).toMatchObject({ code: 0, stdout: '', stderr: 'No instances yet.\n' });
}, 60_000);

test('a dry run of apply says where it would land, makes no key and creates nothing', async () => {
  const text = await succeed('apply -f examples/first.yaml --dry-run');
  expect(text).toMatch(/^instance\/first created \(dry run\)$/m);
  expect(text).toMatch(/would land on on-prem local .*kvm-1-0\.25, \$0\.\d+ an hour/);
  expect(await succeed('get instances -o name')).toBe('');
  expect(await succeed('get sshkeys -o name')).toBe('');
}, 60_000);

test('apply -f examples/first.yaml --wait ends when the machine answers by SSH, and says how to log in', async () => {
  watch = installation.go('get instances --watch');
  const applied = await landfall('apply -f examples/first.yaml --wait', { limitMs: 240_000 });
  expect(applied).toMatchObject({ code: 0, stdout: 'instance/first created\n' });
  expect(applied.stderr).toMatch(/Made an SSH key for your machines: \S+id_ed25519/);
  expect(applied.stderr).toMatch(/instance\/first: succeeded: Running at local on \S+/);
  expect(applied.stderr).toMatch(
    /first runs at local\/\S+ for \$0\.\d+ an hour, [\d.]+\. Log in: landfall ssh first/,
  );
  const key = join(installation.home, '.config/landfall/id_ed25519');
  expect(statSync(key).mode & 0o077).toBe(0);
}, 300_000);

test('get instances shows it as a table, wide, JSON, YAML and names', async () => {
  const table = row(await succeed('get instances'), 'first');
  expect(table).toMatchObject({ STATE: 'Running', SITE: 'local', TYPE: 'kvm-1-0.25' });
  expect(table.ADDRESS).toMatch(/^10\./);
  const wide = row(await succeed('get instances -o wide'), 'first');
  expect(wide).toMatchObject({ PROVIDER: 'onprem', IMAGE: 'tiny', LABELS: 'purpose=try-out', VCPUS: '1' });
  const asJson = JSON.parse(await succeed('get instances -o json')) as { items: Instance[] };
  expect(asJson.items).toHaveLength(1);
  expect(asJson.items[0]).toMatchObject({
    name: 'first',
    status: { state: 'Running', ssh: { user: 'root', port: 22 } },
  });
  const asYaml = parse(await succeed('get instances -o yaml')) as { items: Instance[] };
  expect(asYaml.items.map(({ id }) => id)).toEqual(asJson.items.map(({ id }) => id));
  expect(await succeed('get instances -o name')).toBe('instance/first\n');
}, 60_000);

test('get instances --watch showed each state as it came, and ends with Ctrl-C', async () => {
  const ran = await watch.interrupt();
  expect(ran.code).toBe(130);
  const states = ran.stdout
    .split('\n')
    .filter((line) => line.startsWith('first '))
    .map((line) => line.split(/\s+/)[1]);
  expect(states.at(-1)).toBe('Running');
  expect(states.length).toBeGreaterThan(1);
  expect(ran.stdout.match(/^NAME/gm)).toHaveLength(1);
}, 60_000);

test('describe instance first tells wanted, where, why, addresses, cost and events', async () => {
  const text = await succeed('describe instance first');
  for (const part of ['Wanted', 'Where', 'Why', 'Addresses', 'Cost', 'Events'])
    expect(text).toMatch(new RegExp(`^${part}$`, 'm'));
  expect(text).toMatch(/State: +Running/);
  expect(text).toMatch(/SSH: +root@10\.[\d.]+ port 22/);
  expect(text).toMatch(/Per month: +\$\d/);
  for (const type of ['createRequested', 'placed', 'running'])
    expect(text).toMatch(new RegExp(`instance\\.${type} `));
}, 60_000);

test('ssh first -- cat /etc/os-release reads the file in the guest, and a command’s exit code is kept', async () => {
  expect(await succeed('ssh first -- cat /etc/os-release')).toContain('PRETTY_NAME="Landfall tiny');
  expect((await landfall('ssh first -- exit 7')).code).toBe(7);
  // The machine is the one that was asked for, seen from its inside.
  expect((await succeed('ssh first -- nproc')).trim()).toBe('1');
  const kib = Number(/MemTotal: +(\d+)/.exec(await succeed('ssh first -- cat /proc/meminfo'))?.[1]);
  expect(kib).toBeGreaterThan(150 * 1024);
  expect(kib).toBeLessThan(257 * 1024);
}, 120_000);

test('explain instance first shows the recorded decision as plan showed it', async () => {
  const text = await succeed('explain instance first --full');
  expect(text).toMatch(/^instance\/first lands on on-prem local .*kvm-1-0\.25/);
  expect(text).toMatch(/fits the request +1 /);
  const decision = JSON.parse(await succeed('explain instance first -o json')) as { id: string };
  expect(decision.id).toBe((await first()).status.decision);
}, 60_000);

test('console first shows the boot', async () => {
  expect(await succeed('console first')).toMatch(/landfall tiny: first up after [\d.]+ s/);
}, 60_000);

test('the metrics endpoint shows the guest', async () => {
  const text = await eventually('the guest’s metrics', async () => {
    const scraped = await (await fetch(`${installation.stack.url}/metrics`)).text();
    return scraped.includes('landfall_instance_metric{project="default",instance="first"') && scraped;
  });
  expect(text).toMatch(/^landfall_instances\{project="default",state="Running"\} 1$/m);
}, 120_000);

test('applying the same again is unchanged', async () => {
  const before = await first();
  expect(await succeed('apply -f examples/first.yaml --wait')).toBe('instance/first unchanged\n');
  expect((await first()).generation).toBe(before.generation);
}, 60_000);

test('a dry run shows what would change and changes nothing; what cannot change in place is named', async () => {
  const manifest = readFileSync(join(repository, 'examples/first.yaml'), 'utf8');
  const other = installation.file(
    'other.yaml',
    manifest.replace('vcpus: 1', 'vcpus: 2').replace('purpose: try-out', 'purpose: show'),
  );
  const before = await first();
  const text = await succeed(['apply', '-f', other, '--dry-run']);
  expect(text).toMatch(/^instance\/first configured \(dry run\)$/m);
  expect(text).toMatch(/spec\.vcpus: 1 → 2/);
  expect(text).toMatch(/labels\.purpose: "?try-out"? → "?show"?/);
  const fixed = installation.file('fixed.yaml', manifest.replace('image: tiny', 'image: debian-12'));
  const refused = await landfall(['apply', '-f', fixed]);
  expect(refused.code).toBe(5);
  expect(refused.stderr).toMatch(/spec\.image: "tiny" → "debian-12"/);
  expect(await first()).toMatchObject({ revision: before.revision, labels: before.labels });
}, 60_000);

test('stop, start and reboot --wait leave the machine as they say', async () => {
  const boot = async () => (await succeed('ssh first -- cat /proc/sys/kernel/random/boot_id')).trim();
  const boots = [await boot()];
  await succeed('stop instance first --wait');
  expect(row(await succeed('get instances'), 'first').STATE).toBe('Stopped');
  const refused = await landfall('ssh first -- true');
  expect(refused.code).toBe(1);
  expect(refused.stderr).toMatch(/it is Stopped.*\n?.*landfall start instance first --wait/s);
  // Applying does not undo a stop that the manifest says nothing of.
  expect(await succeed('apply -f examples/first.yaml')).toBe('instance/first unchanged\n');
  await succeed('start instance first --wait');
  boots.push(await boot());
  await succeed('reboot instance first --wait');
  boots.push(await boot());
  expect(new Set(boots).size).toBe(3);
}, 300_000);

test('resize --vcpus 2 really gives the guest two CPUs', async () => {
  await succeed('resize instance first --vcpus 2 --wait');
  expect((await succeed('ssh first -- nproc')).trim()).toBe('2');
  expect(row(await succeed('get instances'), 'first').TYPE).toBe('kvm-2-0.25');
}, 300_000);

test('user data runs in the guest, and an instance with a ttl of 20 s deletes itself', async () => {
  const manifest = (name: string, more: string) =>
    `apiVersion: landfall.dev/v1\nkind: Instance\nmetadata: {name: ${name}}\nspec:\n  image: tiny\n  vcpus: 1\n  memoryGiB: 0.125\n  diskGiB: 1\n  placement: {providers: [onprem]}\n${more}`;
  const file = installation.file(
    'two.yaml',
    [
      manifest('brief', '  ttl: 20s\n'),
      manifest('seeded', '  userData: |\n    #!/bin/sh\n    echo "seeded by $(hostname)" > /etc/seeded-by\n'),
    ].join('---\n'),
  );
  // Not waited for: under load the time of `brief` may be over before it is up, which is as good.
  await succeed(['apply', '-f', file]);
  const proof = await eventually(
    'the user data’s proof',
    async () => {
      const ran = await landfall('ssh seeded -- cat /etc/seeded-by');
      return ran.code === 0 && ran.stdout;
    },
    120_000,
  );
  expect(proof).toBe('seeded by seeded\n');
  expect(await succeed('get instance seeded -o json')).not.toContain('/etc/seeded-by'); // user data may hold secrets
  await eventually(
    'the end of brief',
    async () => (await landfall('get instance brief')).code === 3,
    120_000,
  );
  const operations = JSON.parse(await succeed('get operations -o json')) as {
    items: { verb: string; state: string; resource: { name: string } | null }[];
  };
  const expired = operations.items.find(
    ({ verb, resource }) => verb === 'expire' && resource?.name === 'brief',
  );
  expect(expired?.state).toBe('Succeeded');
}, 400_000);

test('delete instance first --wait leaves nothing, and audit says so', async () => {
  await succeed('delete instance first seeded --wait');
  const nothing = await landfall('get instances');
  expect(nothing.stderr).toBe('No instances yet.\n');
  const again = await landfall('delete instance first --wait');
  expect(again.code).toBe(3);
  const [sum, against] = (await succeed('audit')).split('\n');
  expect(sum).toBe('0 orphans, 0 missing, 0 doubled');
  expect(against).toBe('0 instances against 0 machines at 1 site');
  expect(row(await succeed('get sites'), 'local').INSTANCES).toBe('0');
}, 120_000);
