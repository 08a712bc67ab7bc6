import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Schemas } from '@landfall/model';
import { FakeBroker, problem } from '../fake/broker.ts';
import { sampleBatchDecision, sampleDecision } from '../fake/samples.ts';
import { FakeHome } from '../fake/terminal.ts';
import { gapWords } from '../output/batch.ts';

let home: FakeHome;
let broker: FakeBroker;
const examples = new URL('../../examples/', import.meta.url).pathname;
const fleet = join(examples, 'fleet.yaml');
const path = '/v1/projects/default/placementBatches';

beforeEach(async () => {
  home = new FakeHome();
  broker = await new FakeBroker().start();
  Object.assign(home.env, { LANDFALL_URL: broker.url, LANDFALL_TOKEN: broker.token });
});
afterEach(async () => {
  home.remove();
  await broker.stop();
});

type Input = Schemas['PlacementBatchInput'];

/** Three of the first, of which one finds no place, and one of the second on a host. */
function tight(input: Input): Schemas['PlacementBatchDecision'] {
  const [gcp] = sampleDecision.fallbacks;
  return {
    ...sampleBatchDecision(input),
    method: 'milp',
    placements: [
      { request: 0, count: 2, offer: gcp! },
      { request: 1, count: 1, offer: sampleDecision.winner! },
    ],
    unplaced: [{ request: 0, count: 1 }],
    unplacedBound: 1,
    pricePerHour: 0.0878,
    pricePerMonth: 64.094,
    scorePerHour: 0.0878,
    bound: 0.08779,
    gap: 0.000114,
    conflicts: [
      { requests: [0], because: ['quota few/gcp: 2 instances', 'rule eu/home'], irreducible: true },
      { requests: [1], because: ['host kvm1: 0 vCPUs free'], irreducible: false },
    ],
    shadowPrices: [{ words: 'quota few/gcp: 2 instances', unit: 'instance', savesPerMonth: 4.5 }],
    notices: ['host kvm2 is not heard of'],
  };
}

const two = ['web', 'db']
  .map((name) =>
    JSON.stringify({
      apiVersion: 'landfall.dev/v1',
      kind: 'Instance',
      metadata: { name },
      spec: { image: 'debian-12', vcpus: 2, memoryGiB: 4 },
    }),
  )
  .join('\n---\n');

test('several Instances are planned in one request and shown in one table with the sum', async () => {
  const ran = await home.run(['plan', '-f', fleet]);
  expect(ran).toMatchObject({ code: 0, err: '' });
  expect(broker.asked).toEqual([`POST ${path}`]);
  const { requests } = broker.requests[0]!.body as Input;
  expect(requests.map(({ name, count }) => [name, count])).toEqual(
    ['web', 'api', 'database', 'cache', 'search', 'nightly'].map((name) => [name, 1]),
  );
  expect(requests[0]).toMatchObject({ labels: { app: 'shop' }, spec: { vcpus: 2, memoryGiB: 4 } });
  const lines = ran.out.split('\n');
  expect(lines.slice(0, 5)).toEqual([
    'All 6 machines land: $0.2010 an hour, $146.73 a month; the cheapest possible',
    'no site of GCP is configured: add one to create machines there',
    '',
    'NAME       COUNT   WHERE             TYPE        PRICE/H   TOTAL/H   TOTAL/MONTH',
    'web            1   GCP us-central1   e2-medium   $0.0335   $0.0335        $24.46',
  ]);
  expect(ran.out).toContain('notice: list prices of March 2025');
});

test('--count plans so many of each, also of a single Instance', async () => {
  const ran = await home.run(['plan', '-f', join(examples, 'anywhere.yaml'), '--count', '20']);
  expect(ran.code).toBe(0);
  expect((broker.requests[0]!.body as Input).requests).toMatchObject([{ name: 'web', count: 20 }]);
  expect(ran.out).toMatch(/^All 20 machines land: \$0\.6700 an hour/);
  expect(ran.out).toMatch(/^web +20 +GCP us-central1 +e2-medium +\$0\.0335 +\$0\.6700 +\$489\.10$/m);
});

test('one Instance keeps its answer with the reasons', async () => {
  const ran = await home.run(['plan', '-f', join(examples, 'anywhere.yaml'), '--count', '1']);
  expect(ran.out).toMatch(/^instance\/web lands on/);
  expect(broker.asked).toEqual(['POST /v1/projects/default/placements']);
});

test('what finds no place is told with its conflict, and the exit code is 1', async () => {
  broker.batchDecision = tight;
  writeFileSync(join(home.folder, 'two.yaml'), two);
  const ran = await home.run('plan -f two.yaml');
  expect(ran).toMatchObject({ code: 1, err: '' });
  expect(ran.out).toMatch(
    /^1 of 2 machines land: .*; at most 0\.02% above the cheapest possible for so many\n/,
  );
  expect(ran.out).toContain(
    `1 machine without a place, whatever one does
  NAME   COUNT
  web        1
web: no place while all of this holds
  quota few/gcp: 2 instances
  rule eu/home
db: no place; what is full or in reach, not proven to be why
  host kvm1: 0 vCPUs free
`,
  );
  expect(ran.out).toContain('notice: host kvm2 is not heard of');
  expect(ran.out).not.toContain('scarce');
});

test('--full also shows what is scarce and what the answer was made from; -o wide the sizes', async () => {
  broker.batchDecision = tight;
  writeFileSync(join(home.folder, 'two.yaml'), two);
  const { out } = await home.run('plan -f two.yaml --full -o wide');
  expect(out).toContain(
    'What is scarce\n  ONE MORE   OF                           SAVES/MONTH\n  instance   quota few/gcp: 2 instances         $4.50\n',
  );
  expect(out).toContain('Made from\n  catalogue c1 of 2025-03-27\n');
  expect(out).toContain('1 kind of machines, 40 options, method milp');
  expect(out).toMatch(/MARKET\n/);
});

test('JSON and YAML have the names of the requests and the whole decision', async () => {
  writeFileSync(join(home.folder, 'two.yaml'), two);
  const printed = JSON.parse((await home.run('plan -f two.yaml --count 2 -o json')).out);
  expect(printed).toMatchObject({
    project: 'default',
    requests: [
      { name: 'web', count: 2 },
      { name: 'db', count: 2 },
    ],
    placements: [
      { request: 0, count: 2 },
      { request: 1, count: 2 },
    ],
    gap: 0,
  });
  expect((await home.run('plan -f two.yaml -o yaml')).out).toMatch(/^project: default\nrequests:\n/);
});

test('a refused batch is told at the line of the manifest', async () => {
  broker.intercept = () =>
    problem(422, 'The request cannot be carried out', undefined, [
      { pointer: '/requests/2/spec/image', message: 'there is no image named debian-13' },
      { pointer: '/requests', message: 'must be for at most 10000 machines together, are for 10001' },
    ]);
  const ran = await home.run(['plan', '-f', fleet]);
  expect(ran).toMatchObject({ code: 2, out: '' });
  expect(ran.err).toMatch(/fleet\.yaml:31:10 spec\.image: there is no image named debian-13\n/);
  expect(ran.err).toContain('  requests: must be for at most 10000 machines together');
});

test('an Instance with rules of its own is planned by itself, after the others', async () => {
  const ruled = two
    .replaceAll('"spec":{', '"spec":{"placement":{"rules":[{"deny":"false"}]},')
    .split('---')[0];
  writeFileSync(join(home.folder, 'ruled.yaml'), `${ruled!.replace('"web"', '"picky"')}\n---\n${two}`);
  const ran = await home.run('plan -f ruled.yaml');
  expect(ran.code).toBe(0);
  expect(broker.asked).toEqual([`POST ${path}`, 'POST /v1/projects/default/placements']);
  expect(ran.out).toMatch(/^All 2 machines land[\s\S]*\n\ninstance\/picky lands on/);
  expect(JSON.parse((await home.run('plan -f ruled.yaml -o json')).out).items).toMatchObject([
    { requests: [{ name: 'web' }, { name: 'db' }] },
    { name: 'picky', decision: { outcome: 'placed' } },
  ]);
  const counted = await home.run('plan -f ruled.yaml --count 2');
  expect(counted).toMatchObject({ code: 2, out: '' });
  expect(counted.err).toMatch(/ruled\.yaml:1:\d+ spec\.placement\.rules: .* planned without --count/);
});

test('each project has its own table', async () => {
  writeFileSync(join(home.folder, 'two.yaml'), two.replace('"name":"db"', '"name":"db","project":"back"'));
  const { out } = await home.run('plan -f two.yaml');
  expect(broker.asked).toEqual([`POST ${path}`, 'POST /v1/projects/back/placementBatches']);
  expect(out).toMatch(/^project default\n1 machine lands: [\s\S]*\n\nproject back\n1 machine lands: /);
});

test.each(['0', '10001', '1.5', 'many'])('--count %s is refused before anything is sent', async (count) => {
  const ran = await home.run(['plan', '-f', fleet, '--count', count]);
  expect(ran).toMatchObject({ code: 2, err: expect.stringContaining('a whole number from 1 to 10000') });
  expect(broker.asked).toEqual([]);
});

test.each([
  [{ scorePerHour: 2, pricePerHour: 2, bound: 2 }, 'the cheapest possible'],
  [{ scorePerHour: 2, pricePerHour: 2, bound: 1.99999 }, 'at most 0.01% above the cheapest possible'],
  [{ scorePerHour: 3, pricePerHour: 3, bound: 2 }, 'at most 50% above the cheapest possible'],
  [{ scorePerHour: 1.5, pricePerHour: 2, bound: 1.5 }, 'the best possible by price and preferences'],
  [{ scorePerHour: 0.5, pricePerHour: 0.5, bound: 0 }, 'at most $365.00 a month above the cheapest possible'],
])('the gap of %j in words is never smaller than it is', (decision, words) => {
  expect(gapWords(decision)).toBe(words);
});
