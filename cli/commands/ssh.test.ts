import { chmodSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { type AddressInfo, createServer, type Server } from 'node:net';
import { join } from 'node:path';
import { FakeBroker } from '../fake/broker.ts';
import { FakeHome } from '../fake/terminal.ts';
import { newText } from './events.ts';
import { knownHostsFile } from './ssh.ts';

let broker: FakeBroker;
let home: FakeHome;
let machine: Server;
const examples = new URL('../../examples/', import.meta.url).pathname;

beforeEach(async () => {
  broker = await new FakeBroker().start();
  home = new FakeHome();
  const bin = join(home.folder, 'bin');
  mkdirSync(bin);
  // Stands for the system's ssh: keeps its arguments and ends with a code of its own.
  writeFileSync(join(bin, 'ssh'), `#!/bin/sh\nprintf '%s\\n' "$@" > "${home.folder}/arguments"\nexit 42\n`);
  chmodSync(join(bin, 'ssh'), 0o755);
  home.env = {
    ...home.env,
    PATH: `${bin}:${process.env.PATH}`,
    LANDFALL_URL: broker.url,
    LANDFALL_TOKEN: broker.token,
  };
  await home.run(['apply', '--wait', '-f', join(examples, 'first.yaml')]);
  machine = createServer((socket) => socket.end('SSH-2.0-fake\r\n'));
  await new Promise<void>((resolve) => machine.listen(0, '127.0.0.1', resolve));
  broker.instances.get('first')!.status.ssh!.port = (machine.address() as AddressInfo).port;
});
afterEach(async () => {
  await broker.stop();
  await new Promise((resolve) => machine.close(resolve));
  home.remove();
});

test("R12: ssh runs the system's ssh with address, key and a host identity that is the instance's id and attempt", async () => {
  const ran = await home.run(['ssh', 'first', '--', 'cat', '-A', '/etc/os-release']);
  expect(ran).toEqual({ code: 42, out: '', err: '' });
  const { id, status } = broker.instances.get('first')!;
  const config = join(home.folder, 'config');
  expect(readFileSync(join(home.folder, 'arguments'), 'utf8').trim().split('\n')).toEqual([
    ...['-o', `UserKnownHostsFile="${knownHostsFile(home.env, 'environment', broker.url)}"`],
    ...['-o', `HostKeyAlias=${id}.1`, '-o', 'StrictHostKeyChecking=accept-new', '-o', 'LogLevel=ERROR'],
    ...['-i', join(config, 'id_ed25519'), '-p', String(status.ssh!.port), '-l', 'landfall', '127.0.0.1'],
    ...['--', 'cat', '-A', '/etc/os-release'],
  ]);
});

test("another machine in a lost one's place has a host identity of its own", async () => {
  broker.instances.get('first')!.status.attempt = 2;
  await home.run(['ssh', 'first', 'true']);
  const args = readFileSync(join(home.folder, 'arguments'), 'utf8').trim().split('\n');
  expect(args).toContain(`HostKeyAlias=${broker.instances.get('first')!.id}.2`);
});

test('options after the instance belong to the command there', async () => {
  await home.run(['ssh', '-l', 'root', 'first', 'ls', '-l']);
  const args = readFileSync(join(home.folder, 'arguments'), 'utf8').trim().split('\n');
  expect(args.slice(args.indexOf('-l'))).toEqual(['-l', 'root', '127.0.0.1', '--', 'ls', '-l']);
});

test('a machine whose SSH does not answer yet is waited for', async () => {
  const { port } = machine.address() as AddressInfo;
  await new Promise((resolve) => machine.close(resolve));
  setTimeout(() => {
    machine = createServer((socket) => socket.end('SSH-2.0-late\r\n')).listen(port, '127.0.0.1');
  }, 400);
  const ran = await home.run('ssh first');
  expect(ran.code).toBe(42);
  expect(ran.err).toMatch(
    /first does not answer by SSH yet \(connection refused\); waiting up to 30 seconds/,
  );
});

test('an instance without an address is explained by its state', async () => {
  broker.instances.get('first')!.status = { state: 'Stopped', observedGeneration: 1 };
  const ran = await home.run('ssh first');
  expect(ran.err).toBe(
    'Error: first cannot be reached by SSH: it is Stopped.\nStart it: `landfall start instance first --wait`.\n',
  );
  expect((await home.run('ssh nobody')).code).toBe(3);
});

test('console shows the log, and a later log is joined to an earlier one', async () => {
  expect((await home.run('console first')).out).toBe('booting\nlogin: ');
  expect(newText('', 'abc')).toEqual({ text: 'abc', gap: false });
  expect(newText('abc', 'abcd')).toEqual({ text: 'd', gap: false });
  expect(newText('abcdef', 'abcdef')).toEqual({ text: '', gap: false });
  const long = Array.from({ length: 900 }, (_, index) => `${index}\n`).join('');
  expect(newText(long, `${long.slice(2000)}more`)).toEqual({ text: 'more', gap: false });
  expect(newText('one', 'two')).toEqual({ text: 'two', gap: true });
});
