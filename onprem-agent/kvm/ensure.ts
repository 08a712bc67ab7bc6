import type { CallContext, Present, Want } from '@landfall/adapters/contract.ts';
import { ProviderError } from '@landfall/adapters/errors.ts';
import { imageOf } from '@landfall/adapters/kinds.ts';
import { awaitAnswer, changing, converge, convergeAdopted, requireOwn, startNew } from './converge.ts';
import { createMachine } from './create.ts';
import { exclusively } from './exclusive.ts';
import { readSidecar } from './machine-files.ts';
import { presentDomain, sightOf } from './observation.ts';
import type { Setting } from './setting.ts';
import { checkCommon, type WantedMachine, wantedMachine } from './wanted-machine.ts';

/** A guest that does not answer after so long gives its start slot to others, and goes on booting. */
const slotLimitMs = 60_000;

/** The contract's `ensure`: create or converge, then wait for the guest's answer, with heartbeats. */
export async function ensureMachine(setting: Setting, want: Want, context: CallContext): Promise<Present> {
  const { signal } = context;
  signal.throwIfAborted();
  const { adopted } = want as Want<'Instance'>;
  if (adopted) return ensureAdopted(setting, want as Want<'Instance'>, adopted.ref, context);
  const wanted = wantedMachine(want, setting);
  context.heartbeat({ uuid: wanted.uuid });
  const beat = setInterval(() => context.heartbeat({ uuid: wanted.uuid }), setting.timing.heartbeat);
  try {
    const made = await exclusively(changing(wanted.uuid), () => createUnlessThere(setting, wanted, signal));
    const starts = made && wanted.spec.power === 'running';
    if (!starts) {
      const before = await observed(setting, wanted);
      if (before.state === 'ready' && before.diff.length === 0) return before;
    }
    if (wanted.spec.power === 'stopped') await converge(setting, wanted, signal);
    else await startAndWait(setting, wanted, starts, signal);
    return await observed(setting, wanted);
  } finally {
    clearInterval(beat);
  }
}

async function ensureAdopted(
  setting: Setting,
  want: Want<'Instance'>,
  ref: string,
  { signal, heartbeat }: CallContext,
): Promise<Present> {
  checkCommon(want, setting);
  // What it is made from is not known: there is nothing to make it anew from.
  if (!(await setting.libvirt.find(ref))) imageOf(want);
  const beat = setInterval(() => heartbeat({ uuid: ref }), setting.timing.heartbeat);
  try {
    await convergeAdopted(setting, want, signal);
    return await observed(setting, { want, spec: want.spec, uuid: ref });
  } finally {
    clearInterval(beat);
  }
}

/** True when this call made it. */
async function createUnlessThere(
  setting: Setting,
  wanted: WantedMachine,
  signal: AbortSignal,
): Promise<boolean> {
  const domain = await setting.libvirt.find(wanted.uuid);
  if (domain) {
    requireOwn(domain, wanted);
    return false;
  }
  const sidecar = await readSidecar(setting.storage, wanted.uuid);
  if (sidecar && sidecar.stamp.broker !== wanted.want.stamp.broker) {
    throw new ProviderError('Conflict', `the files of ${wanted.uuid} carry another broker's stamp`);
  }
  await createMachine(setting, wanted, signal);
  return true;
}

async function startAndWait(
  setting: Setting,
  wanted: WantedMachine,
  isNew: boolean,
  signal: AbortSignal,
): Promise<void> {
  const release = await setting.slots.take(signal);
  const limit = setTimeout(release, slotLimitMs);
  try {
    await (isNew ? startNew(setting, wanted) : converge(setting, wanted, signal));
    await awaitAnswer(setting, wanted, signal);
  } finally {
    clearTimeout(limit);
    release();
  }
}

async function observed(
  setting: Setting,
  wanted: Pick<WantedMachine, 'want' | 'spec' | 'uuid'>,
): Promise<Present> {
  const sight = await sightOf(setting, wanted.uuid);
  if (!sight) {
    const message = `the domain ${wanted.uuid} was defined and is not to be seen`;
    throw new ProviderError('OutcomeUnknown', message, { made: [wanted.uuid] });
  }
  requireOwn(sight.domain, wanted);
  return presentDomain(setting, sight, wanted.want.stamp, wanted.spec);
}
