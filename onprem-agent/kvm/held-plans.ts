import type { KindAdapters } from '@landfall/adapters/kinds.ts';
import { firewallPlan } from './firewall.ts';
import type { HeldKind } from './held.ts';
import { type HeldPlan, heldKind } from './held-kind.ts';
import { networkPlan } from './network.ts';
import { imagePlan } from './own-image.ts';
import type { Setting } from './setting.ts';
import { snapshotPlan } from './snapshot.ts';
import { volumePlan } from './volume.ts';

/** What this host holds besides machines, kind by kind. */
export type HeldPlans = { [K in HeldKind]: HeldPlan<K> };

export function heldPlans(setting: Setting): HeldPlans {
  return {
    Volume: volumePlan(setting),
    Snapshot: snapshotPlan(setting),
    Image: imagePlan(setting),
    Network: networkPlan(setting),
    Firewall: firewallPlan(setting),
  };
}

export function heldAdapters(setting: Setting, plans: HeldPlans): KindAdapters {
  return {
    Volume: heldKind(setting, plans.Volume),
    Snapshot: heldKind(setting, plans.Snapshot),
    Image: heldKind(setting, plans.Image),
    Network: heldKind(setting, plans.Network),
    Firewall: heldKind(setting, plans.Firewall),
  };
}
