import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { adapterActivities } from '@landfall/adapters/activities.ts';
import type { Logger } from 'pino';
import { brokerClient, type HostRegistration } from './broker-client.ts';
import { prepareRuntime, serveQueue } from './connection.ts';
import { withFileLock } from './file-lock.ts';
import { probeAcceleration } from './host/acceleration.ts';
import { run } from './host/command.ts';
import { findGpus } from './host/gpus.ts';
import { prepareHost } from './host/prepare.ts';
import { builtinImages } from './images/store.ts';
import { createKvmAdapter } from './kvm/adapter.ts';
import { diskForGuestsGiB, hostCapacity } from './kvm/capacity.ts';
import { gpusForGuests } from './kvm/hand-over.ts';
import { pause } from './kvm/pause.ts';
import { libvirtOver, virshRunner } from './kvm/virsh.ts';
import type { AgentOptions } from './options.ts';
import { keepRegistered } from './registration.ts';

/**
 * The agent's whole life: prepares the host, then registers with the broker and serves its task queue until `signal` fires.
 * Guests are libvirt's: nothing here stops them, however the agent ends. Rejects when the host cannot be prepared.
 */
export async function runAgent(
  options: AgentOptions,
  { signal, log }: { signal: AbortSignal; log: Logger },
): Promise<void> {
  await mkdir(options.dataDir, { recursive: true });
  const waiting = setTimeout(
    () => log.warn({ dataDir: options.dataDir }, 'another agent has this data folder: waiting'),
    2000,
  );
  await withFileLock(
    join(options.dataDir, 'agent.lock'),
    async () => {
      clearTimeout(waiting);
      await work(options, { signal, log });
    },
    signal,
  ).finally(() => clearTimeout(waiting));
}

async function work(
  options: AgentOptions,
  { signal, log }: { signal: AbortSignal; log: Logger },
): Promise<void> {
  const preparation = { dataFolder: options.dataDir, libvirt: options.libvirt };
  const host = await prepareHost(preparation);
  log.info(
    { libvirt: host.libvirt, version: host.libvirtVersion, uri: host.uri, storage: host.storage.here },
    'host prepared',
  );
  const acceleration = await probeAcceleration();
  log[acceleration.accel === 'kvm' ? 'info' : 'warn'](acceleration, 'acceleration probed');

  const { gpus, refused } = await findGpus();
  for (const gpu of gpus) log.info(gpu, 'GPU for guests');
  for (const gpu of refused) log.warn(gpu, 'display adapter not for guests');

  const capacity = hostCapacity({ vcpus: options.vcpus, memoryGiB: options.memoryGiB });
  const location = { region: options.region, zone: options.zone, host: options.host };
  const progress = (line: string) => log.info({ image: line }, 'image');
  const { currency } = options;
  const adapter = createKvmAdapter({ host, acceleration, location, capacity, gpus, currency, progress });
  const broker = brokerClient({
    url: options.brokerUrl,
    site: options.site,
    host: options.host,
    tokenFile: options.tokenFile,
  });
  const { facts, capabilities } = await adapter.describe();
  const agentVersion = await ownVersion();
  const libvirt = libvirtOver(virshRunner(host.uri));
  const registration = async (): Promise<HostRegistration> => {
    const forGuests = await gpusForGuests({ gpus, libvirt });
    const diskGiB = Math.floor(await diskForGuestsGiB(host.storage));
    return {
      zone: options.zone,
      capacity: { ...capacity, diskGiB, gpus: forGuests.length },
      gpuName: forGuests[0]?.model,
      accel: acceleration.accel,
      architecture: 'x86_64',
      agentVersion,
      facts,
      images: [...builtinImages],
      capabilities,
    };
  };

  prepareRuntime(log);
  const queue = {
    address: options.temporalAddress,
    namespace: options.temporalNamespace,
    taskQueue: `site/${options.site}/${options.host}`,
    identity: `onprem-agent ${options.site}/${options.host} ${process.pid}`,
    activities: { ...adapterActivities(adapter, broker) },
  };
  await Promise.all([
    keepRegistered(broker, options.host, registration, { signal, log }),
    keepLibvirt(host.uri, () => prepareHost(preparation), { signal, log }),
    serveQueue(queue, { signal, log }),
  ]);
  log.info('stopped; guests run on');
}

const libvirtLookMs = 15_000;

/** Starts libvirt again when it stops answering. Guests do not notice either. */
async function keepLibvirt(
  uri: string,
  prepare: () => Promise<unknown>,
  { signal, log }: { signal: AbortSignal; log: Logger },
): Promise<void> {
  let failed: string | undefined;
  while (!signal.aborted) {
    await pause(libvirtLookMs, signal).catch((error: unknown) => {
      if (!signal.aborted) throw error;
    });
    if (signal.aborted) return;
    try {
      await run('virsh', ['-q', '-c', uri, 'version'], { timeoutMs: 10_000 });
      failed = undefined;
    } catch {
      try {
        await prepare();
        log.warn({ uri }, 'libvirt had stopped answering: started again');
      } catch (error) {
        const message = error instanceof Error ? error.message : String(error);
        if (failed !== message)
          log.error({ err: error, uri }, 'libvirt does not answer and cannot be started');
        failed = message;
      }
    }
  }
}

async function ownVersion(): Promise<string> {
  const text = await readFile(join(import.meta.dirname, 'package.json'), 'utf8');
  return (JSON.parse(text) as { version: string }).version;
}
