/**
 * From an accepted create to an SSH banner of the guest, beside the same guest started by hand: the same image, kernel,
 * acceleration and sizes, QEMU's user networking. Alternating. `npm run bench:onprem [-- rounds]`
 */
import { spawn } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { join } from 'node:path';
import { run } from '@landfall/onprem-agent/host/command.ts';
import { prepareImage } from '@landfall/onprem-agent/images/store.ts';
import { writeSeed } from '@landfall/onprem-agent/kvm/seed.ts';
import { Installation } from '../e2e/installation.ts';
import { percentile } from './percentile.ts';

const rounds = Number(process.argv[2] ?? 5);
const limitMs = 180_000;
const seconds = (ms: number) => `${(ms / 1000).toFixed(2)} s`;

/** Until an SSH server greets there. */
async function banner(host: string, port: number): Promise<void> {
  const deadline = Date.now() + limitMs;
  while (Date.now() < deadline) {
    const greeted = await new Promise<boolean>((done) => {
      const socket = connect({ host, port });
      const end = (answer: boolean) => {
        socket.destroy();
        done(answer);
      };
      socket.setTimeout(1_000, () => end(false));
      socket.on('error', () => end(false));
      socket.on('close', () => done(false));
      socket.on('data', (data) => end(data.toString('latin1').startsWith('SSH-')));
    });
    if (greeted) return;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  throw new Error(`nothing greets at ${host}:${port}`);
}

const freePort = () =>
  new Promise<number>((done) => {
    const server = createServer();
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address() as { port: number };
      server.close(() => done(port));
    });
  });

const installation = await Installation.start();
try {
  const { client } = installation;
  const { data: hosts } = await client.GET('/v1/hosts', { params: {} });
  const accel = hosts!.items[0]!.accel;
  const image = await prepareImage({ builtin: 'tiny' }, { progress: (line) => console.log(line) });

  /** Everything that a person would do for one guest, from the disk on. */
  async function byHand(n: number): Promise<number> {
    const folder = join(installation.folder, `by-hand-${n}`);
    mkdirSync(folder);
    const port = await freePort();
    const started = performance.now();
    const disk = join(folder, 'root.qcow2');
    await run('qemu-img', [
      'create',
      '-q',
      '-f',
      'qcow2',
      '-F',
      'qcow2',
      '-b',
      join(image.folder, 'root.qcow2'),
      disk,
      '1G',
    ]);
    const seed = join(folder, 'seed.iso');
    await writeSeed({ instanceId: `by-hand-${n}`, hostname: 'by-hand', sshKeys: [] }, seed, run);
    // biome-ignore format: options in pairs
    const guest = spawn('qemu-system-x86_64', [
      '-machine', 'q35', '-accel', accel === 'kvm' ? 'kvm' : 'tcg,tb-size=64', '-cpu', accel === 'kvm' ? 'host' : 'max',
      '-m', '256', '-smp', '1', '-display', 'none', '-nodefaults', '-serial', `file:${join(folder, 'console.log')}`,
      '-kernel', join(image.folder, image.boot!.kernel), '-initrd', join(image.folder, image.boot!.initrd),
      '-append', image.boot!.commandLine,
      '-drive', `file=${disk},if=virtio,format=qcow2`, '-drive', `file=${seed},if=virtio,format=raw,readonly=on`,
      '-netdev', `user,id=n,hostfwd=tcp:127.0.0.1:${port}-:22`, '-device', 'virtio-net-pci,netdev=n', '-device', 'virtio-rng-pci',
    ], { stdio: 'ignore' });
    try {
      await banner('127.0.0.1', port);
      return performance.now() - started;
    } finally {
      const ended = new Promise((resolve) => guest.once('exit', resolve));
      guest.kill('SIGKILL');
      await ended;
    }
  }

  async function byLandfall(n: number): Promise<number> {
    const path = { project: 'default' };
    const { data, error } = await client.POST('/v1/projects/{project}/instances', {
      params: { path },
      body: {
        name: `guest-${n}`,
        spec: {
          image: 'tiny',
          vcpus: 1,
          memoryGiB: 0.25,
          diskGiB: 1,
          architecture: 'x86_64',
          market: 'onDemand',
          publicAddress: false,
          power: 'running',
          placement: { providers: ['onprem'] },
        },
      },
    });
    const started = performance.now();
    if (!data || !('verb' in data)) throw new Error(JSON.stringify(error));
    const ended = async (operation: string) => {
      for (;;) {
        const { data: now } = await client.GET('/v1/operations/{operation}', {
          params: { path: { operation }, query: { wait: 60 } },
        });
        if (now?.state === 'Succeeded') return;
        if (now?.state === 'Failed') throw new Error(now.message);
      }
    };
    await ended(data.id);
    const instance = { ...path, instance: `guest-${n}` };
    const { data: made } = await client.GET('/v1/projects/{project}/instances/{instance}', {
      params: { path: instance },
    });
    await banner(made!.status.ssh!.host, made!.status.ssh!.port);
    const took = performance.now() - started;
    const deletion = await client.DELETE('/v1/projects/{project}/instances/{instance}', {
      params: { path: instance, header: { 'If-Match': '*' } },
    });
    await ended(deletion.data!.id);
    return took;
  }

  await byHand(-1); // both find the image in the page cache
  const times = { hand: [] as number[], landfall: [] as number[] };
  for (let round = 0; round < rounds; round++) {
    times.hand.push(await byHand(round));
    times.landfall.push(await byLandfall(round));
    console.log(
      `round ${round + 1}: by hand ${seconds(times.hand.at(-1)!)}, Landfall ${seconds(times.landfall.at(-1)!)}`,
    );
  }
  const [hand, landfall] = [percentile(times.hand, 50), percentile(times.landfall, 50)];
  console.log(
    `summary: accepted to SSH banner ${seconds(landfall)} (median of ${rounds}, ${accel}), by hand ${seconds(hand)}: ${(landfall / hand).toFixed(2)} times (aim: at most 1.10)`,
  );
} finally {
  await installation.close();
}
process.exit(0);
