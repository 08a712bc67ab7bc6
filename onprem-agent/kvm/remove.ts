import type { CallContext, Removal, Target } from '@landfall/adapters/contract.ts';
import { ProviderError } from '@landfall/adapters/errors.ts';
import { changing } from './converge.ts';
import { asProviderError } from './create.ts';
import { exclusively } from './exclusive.ts';
import { type Found, graceLeft, lookUp, matches, stampOf } from './lookup.ts';
import { removeFiles } from './machine-files.ts';
import { freeAddressOf } from './machine-network.ts';
import { applyFilter } from './packet-filter.ts';
import { pause } from './pause.ts';
import type { Setting } from './setting.ts';

const lookAgainMs = 1000;

/**
 * The contract's `remove`: destroys, undefines and deletes what carries the target's stamp; done when two looks, apart in time,
 * saw nothing. Throws Denied, having touched nothing, when what the target names is not this broker's (A5).
 */
export async function removeMachine(
  setting: Setting,
  target: Target,
  { signal, heartbeat }: CallContext,
): Promise<Removal> {
  const found = await lookUp(setting, target);
  for (const one of found) requireOurs(one, target);
  for (const one of found) {
    signal.throwIfAborted();
    heartbeat({ removing: one.uuid });
    await exclusively(changing(one.uuid), () => removeOne(setting, one.uuid));
  }
  for (let look = 0; look < 2; look++) {
    if (look > 0) await pause(setting.timing.confirm, signal);
    if ((await lookUp(setting, target)).length > 0) return { done: false, retryAfterMs: lookAgainMs };
  }
  // Nothing was there to begin with, and what was asked for a moment ago may still be about to show (A6).
  if (found.length === 0 && graceLeft(setting, target) > 0) return { done: false, retryAfterMs: lookAgainMs };
  return { done: true };
}

function requireOurs(found: Found, target: Target): void {
  if (matches(stampOf(found), target)) return;
  const what = found.domain
    ? `the domain ${found.domain.name} (${found.uuid})`
    : `the files of ${found.uuid}`;
  throw new ProviderError(
    'Denied',
    `${what} do not carry this broker's stamp for ${target.stamp.resource}: left alone`,
    { providerCode: 'NotOurs' },
  );
}

/** The domain first: files go only when nothing can be using them. Both calls take "not there" for success. */
async function removeOne(setting: Setting, uuid: string): Promise<void> {
  const network = (await setting.libvirt.find(uuid))?.record?.network;
  await setting.libvirt.destroy(uuid);
  await setting.libvirt.undefine(uuid);
  if (network) {
    await freeAddressOf(setting, network.ref, uuid);
    await applyFilter(setting);
  }
  await asProviderError(() => removeFiles(setting.storage, uuid));
}
