import { chmodSync, existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { FakeBroker } from '../fake/broker.ts';
import { FakeHome } from '../fake/terminal.ts';

let broker: FakeBroker;
let home: FakeHome;
const first = join(import.meta.dirname, '../../examples/first.yaml');
const page =
  'https://eu-central-1.console.aws.amazon.com/ec2/home?region=eu-central-1#InstanceDetails:instanceId=i-1';

beforeEach(async () => {
  broker = await new FakeBroker().start();
  home = new FakeHome();
  home.env = { ...home.env, LANDFALL_URL: broker.url, LANDFALL_TOKEN: broker.token };
  await home.run('site add -f -', {
    stdin: 'apiVersion: landfall.dev/v1\nkind: Site\nmetadata: {name: aws-1}\nspec: {provider: aws}\n',
  });
  await home.run(['apply', '--wait', '-f', first]);
  Object.assign(broker.instances.get('first')!.status, {
    ...{ site: 'aws-1', provider: 'aws', region: 'eu-central-1', externalReference: 'i-1' },
  });
});
afterEach(async () => {
  await broker.stop();
  home.remove();
});

test('open prints the page of an instance in the web console of its cloud', async () => {
  expect(await home.run('open instance first')).toMatchObject({ code: 0, out: `${page}\n`, err: '' });
  expect(JSON.parse((await home.run('open instance/first -o json')).out)).toEqual({ url: page });
  expect((await home.run('open instance nobody')).code).toBe(3);
  expect((await home.run('open instance')).code).toBe(2);
});

test('where there is no such page it says why, and prints nothing', async () => {
  broker.sites.get('aws-1')!.spec.endpoint = 'http://127.0.0.1:5000';
  const simulated = await home.run('open instance first --browser');
  expect(simulated).toMatchObject({ code: 1, out: '' });
  expect(simulated.err).toContain(
    'instance/first cannot be shown: the site aws-1 has an endpoint of its own',
  );
  broker.instances.get('first')!.status.site = undefined;
  expect((await home.run('open instance first')).err).toContain('instance/first is at no site');
  expect((await home.run('open site aws-1')).err).toContain('site/aws-1 is at no site');
});

test('--browser hands the address to the program that opens it; without one it says so', async () => {
  const seen = join(home.folder, 'seen');
  for (const program of ['xdg-open', 'open']) {
    writeFileSync(
      join(home.folder, program),
      `#!/bin/sh\nprintf %s "$1" > '${seen}.part'\nmv '${seen}.part' '${seen}'\n`,
    );
    chmodSync(join(home.folder, program), 0o755);
  }
  home.env.PATH = `${home.folder}:${process.env.PATH}`;
  expect((await home.run('open instance first --browser')).code).toBe(0);
  while (!existsSync(seen)) await new Promise((resolve) => setTimeout(resolve, 20));
  expect(readFileSync(seen, 'utf8')).toBe(page);
  home.env.PATH = join(home.folder, 'empty');
  const none = await home.run('open instance first --browser');
  expect(none).toMatchObject({ code: 1, out: `${page}\n` });
  expect(none.err).toContain('No browser could be opened');
});
