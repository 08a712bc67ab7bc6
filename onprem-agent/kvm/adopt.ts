import { turnOf } from '@landfall/adapters/adopters.ts';
import type { CallContext, Present, Want } from '@landfall/adapters/contract.ts';
import { adoptedByAnother, cannotBeAdopted } from '@landfall/adapters/discovery.ts';
import { isProviderError, ProviderError } from '@landfall/adapters/errors.ts';
import { namesNothing } from '@landfall/adapters/kinds.ts';
import { waitFor } from '@landfall/adapters/wait.ts';
import { whyRefused } from './discover.ts';
import type { Domain } from './domain-xml.ts';
import { matches } from './lookup.ts';
import { adopterOf } from './machine-record.ts';
import { presentDomain, sightOf } from './observation.ts';
import type { Setting } from './setting.ts';
import { checkCommon } from './wanted-machine.ts';

/**
 * Writes our record into the metadata of an existing domain, and changes nothing else of it. libvirt writes metadata without
 * conditions: adopters, also of two agents on one host, keep out of each other's way by marks of their own (`turnOf`).
 * @throws ProviderError `NotFound` where it is gone; `Conflict` where it is another's or another tool manages it.
 */
export async function adoptMachine(setting: Setting, want: Want, context: CallContext): Promise<Present> {
  const { stamp, adopted, spec } = want as Want<'Instance'>;
  if (!adopted) throw namesNothing();
  checkCommon(want, setting);
  const { libvirt, timing } = setting;
  const { ref } = adopted;
  const mine = adopterOf(stamp);
  let known: Domain | undefined;
  const withdraw = async () => {
    if (!known || known.adopters[mine] === undefined) return;
    // Left behind, it only says who adopted, or is passed over after a while.
    await libvirt.writeAdopter(ref, mine, undefined, known.id !== undefined).catch((error: unknown) => {
      if (!isProviderError(error)) throw error;
    });
  };
  const look = async (): Promise<true | undefined> => {
    const domain = await libvirt.find(ref);
    known = domain;
    if (!domain) throw new ProviderError('NotFound', `there is no machine ${ref} on this host any more`);
    if (matches(domain.record?.stamp, { stamp })) return true;
    const refused = whyRefused(domain, await libvirt.transient());
    if (refused) throw cannotBeAdopted(ref, refused);
    const running = domain.id !== undefined;
    const turn = turnOf(mine, domain.adopters);
    if (turn === 'giveUp') throw adoptedByAnother(ref);
    if (turn === 'show') await libvirt.writeAdopter(ref, mine, new Date().toISOString(), running);
    if (turn === 'stamp') await libvirt.writeRecord(ref, recordOf(stamp, spec), running);
    return undefined;
  };
  try {
    const isOurs = await waitFor(look, { context, pollMs: timing.poll, limitMs: timing.ready });
    if (!isOurs) throw adoptedByAnother(ref);
    await withdraw();
  } catch (error) {
    if (isProviderError(error, 'Conflict')) await withdraw();
    throw error;
  }
  const sight = await sightOf(setting, ref);
  if (!sight?.domain.record)
    throw new ProviderError('OutcomeUnknown', `the domain ${ref} was adopted and is not to be seen`);
  return presentDomain(setting, sight, sight.domain.record.stamp);
}

function recordOf(stamp: Want['stamp'], { name, diskGiB }: Want<'Instance'>['spec']) {
  return {
    stamp,
    name,
    createdAt: new Date().toISOString(),
    user: '',
    adopted: true,
    image: '',
    instanceType: 'custom',
    diskGiB,
    reboots: 0,
    firewalls: [],
    labels: {},
  };
}
