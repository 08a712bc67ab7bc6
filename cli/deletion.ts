/** What deleting takes away. */
import type { Instance } from '@landfall/model';
import { inOrder } from './apply/apply.ts';
import type { Broker } from './connection/broker.ts';
import { CommandError } from './errors.ts';
import { type Kind, kindNamed } from './kinds.ts';
import { type Manifest, manifestSubject } from './manifests/manifest.ts';
import { printable } from './output/colours.ts';
import type { Session } from './session.ts';

/** One thing to be deleted. */
export interface Target {
  kind: Kind<unknown>;
  name: string;
  broker: Broker;
}

/** What the manifests name, in reverse order of applying. */
export function targetsOfManifests(
  session: Pick<Session, 'brokerFor'>,
  manifests: readonly Manifest[],
): Target[] {
  return inOrder(manifests)
    .reverse()
    .map((manifest) => {
      const kind = kindNamed(manifest.kind);
      if (!kind.remove) throw new CommandError(`${manifestSubject(manifest)} cannot be deleted.`);
      return { kind, name: manifest.name, broker: session.brokerFor(manifest.project) };
    });
}

/** `i-1 at site/aws`, of something that existed before Landfall and is Landfall's now. */
export function adoptedThing(item: object): string | undefined {
  const { adopted, externalReference, site, state } =
    (item as Partial<Pick<Instance, 'status'>>).status ?? {};
  return adopted && externalReference && state !== 'Adopting'
    ? `${printable(externalReference)} at site/${site}`
    : undefined;
}
