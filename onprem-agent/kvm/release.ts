import type { CallContext, Removal, Target } from '@landfall/adapters/contract.ts';
import { ProviderError } from '@landfall/adapters/errors.ts';
import { changing } from './converge.ts';
import { asProviderError } from './create.ts';
import { exclusively } from './exclusive.ts';
import { type Found, graceLeft, lookUp, matches, stampOf } from './lookup.ts';
import { removeSidecar } from './machine-files.ts';
import { adopterOf } from './machine-record.ts';
import { pause } from './pause.ts';
import type { Setting } from './setting.ts';

const lookAgainMs = 1000;

/**
 * The contract's `release`: takes our record out of the domain's metadata, and the note beside its disk. The domain and its disk
 * stay as and where they are.
 * @throws ProviderError `Invalid` for a machine in a Network of ours, whose packet filter knows its machines by their records: without
 * one nothing could reach it.
 */
export async function releaseMachine(
  setting: Setting,
  target: Target,
  { signal, heartbeat }: CallContext,
): Promise<Removal> {
  const stamped = async () =>
    (await lookUp(setting, target)).filter((found) => matches(stampOf(found), target));
  const found = await stamped();
  for (const one of found) requireReleasable(one);
  for (const one of found) {
    signal.throwIfAborted();
    heartbeat({ releasing: one.uuid });
    await exclusively(changing(one.uuid), () => releaseOne(setting, target, one));
  }
  for (let look = 0; look < 2; look++) {
    if (look > 0) await pause(setting.timing.confirm, signal);
    if ((await stamped()).length > 0) return { done: false, retryAfterMs: lookAgainMs };
  }
  if (found.length === 0 && graceLeft(setting, target) > 0) return { done: false, retryAfterMs: lookAgainMs };
  return { done: true };
}

function requireReleasable({ uuid, domain }: Found): void {
  if (!domain)
    throw new ProviderError('NotFound', `the machine ${uuid} has no domain any more, only its files`);
  if (domain.record?.network)
    throw new ProviderError(
      'Invalid',
      `the machine ${uuid} is in a network of Landfall's, whose packet filter would let nothing in to it`,
      { field: '/network' },
    );
}

/** The record last: while it is there, the machine is ours. */
async function releaseOne({ libvirt, storage }: Setting, { stamp }: Target, { uuid }: Found): Promise<void> {
  const domain = await libvirt.find(uuid);
  const running = domain?.id !== undefined;
  await asProviderError(() => removeSidecar(storage, uuid));
  const mark = adopterOf({ attempt: 0, ...stamp });
  if (domain?.adopters[mark] !== undefined) await libvirt.writeAdopter(uuid, mark, undefined, running);
  await libvirt.writeRecord(uuid, undefined, running);
}
