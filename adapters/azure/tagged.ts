import type { Stamp, Target } from '../contract.ts';
import { type Account, ifThere } from './clients.ts';
import { idOf, kindOf, type ObjectKind } from './objects.ts';
import { carries, groupName, stampOf, stampTags, type Tags } from './stamp.ts';

/** An object of one attempt, found by its tags. */
export interface Tagged {
  id: string;
  name: string;
  kind: ObjectKind;
  tags: Tags;
  location?: string;
  provisioningState?: string;
  createdAt?: string;
}

/** A page of everything in the region with this tag, over all types. */
export async function findTagged(
  account: Account,
  broker: string,
  region: string,
  tag: { name: string; value: string },
  continuationToken?: string,
): Promise<{ found: Tagged[]; next?: string }> {
  const group = groupName(broker, region);
  const filter = `tagName eq '${tag.name}' and tagValue eq '${tag.value}'`;
  const options = { filter, expand: 'createdTime,provisioningState' };
  const pages = account.resources.resources.listByResourceGroup(group, options).byPage({ continuationToken });
  const answer = await ifThere(pages.next());
  // Without a group there is nothing in it.
  if (!answer || answer.done) return { found: [] };
  const found = answer.value.flatMap((item): Tagged[] => {
    const kind = kindOf(item.type);
    if (!kind || !item.name) return [];
    const { name, tags = {}, location, provisioningState, createdTime } = item;
    const id = idOf(account, group, kind, name);
    return [
      {
        id,
        name,
        kind,
        tags,
        location,
        provisioningState,
        createdAt: createdTime?.toISOString(),
      },
    ];
  });
  return { found, next: answer.value.continuationToken };
}

/** The attempts that a target means: the one it names, else every one that something carries the stamp of. Newest first. */
export async function attemptsOf(account: Account, { stamp, location }: Target): Promise<Stamp[]> {
  if (stamp.attempt !== undefined) return [{ ...stamp, attempt: stamp.attempt }];
  const attempts = new Set<number>();
  let next: string | undefined;
  do {
    const tag = { name: stampTags.resource, value: stamp.resource };
    const page = await findTagged(account, stamp.broker, location.region, tag, next);
    for (const { tags } of page.found) if (carries(tags, stamp)) attempts.add(stampOf(tags)?.attempt ?? 0);
    next = page.next;
  } while (next);
  return [...attempts].sort((one, other) => other - one).map((attempt) => ({ ...stamp, attempt }));
}
