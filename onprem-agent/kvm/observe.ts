import type { Observation, Target, Want } from '@landfall/adapters/contract.ts';
import { graceLeft, lookUp, matches, stampOf } from './lookup.ts';
import { presentDomain, presentFiles, sightOf } from './observation.ts';
import type { Setting } from './setting.ts';

/** Time between two looks at something that is not yet visible. */
const lookAgainMs = 1000;

/** The contract's `observe`: what is there of the target, its newest attempt where several are. */
export async function observeMachine(setting: Setting, target: Target, want?: Want): Promise<Observation> {
  const own = (await lookUp(setting, target)).filter((found) => matches(stampOf(found), target));
  own.sort((a, b) => (stampOf(b)?.attempt ?? 0) - (stampOf(a)?.attempt ?? 0));
  // A domain says more than files that were left.
  const best = own.find((found) => found.domain) ?? own[0];
  if (best?.domain) {
    const sight = await sightOf(setting, best.uuid);
    if (sight?.domain.record) return presentDomain(setting, sight, sight.domain.record.stamp, want?.spec);
  } else if (best?.sidecar && graceLeft(setting, target) === 0) {
    return presentFiles(setting, best.uuid, best.sidecar, want?.spec);
  }
  if (graceLeft(setting, target) > 0) return { presence: 'unsettled', retryAfterMs: lookAgainMs };
  return { presence: 'absent' };
}
