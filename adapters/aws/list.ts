import { DescribeInstancesCommand, type EC2Client } from '@aws-sdk/client-ec2';
import type { Kind, Listed, ListPage } from '../contract.ts';
import { ProviderError } from '../errors.ts';
import { type Account, reading } from './clients.ts';
import { detailsOf, instanceState, isDead, locationOf, type Machine, readSizes, stateOf } from './machine.ts';
import { describePage, type ObjectKind, objectKinds, saysNoImports } from './objects.ts';
import { kindOf, stampOf, stampTags } from './stamp.ts';

const kinds = ['instance', ...objectKinds] as const;

/** The object that stands for a resource of the kind; all others with its stamp are its children. */
const mains: Record<Kind, 'instance' | ObjectKind> = {
  Instance: 'instance',
  Volume: 'volume',
  Snapshot: 'snapshot',
  Image: 'image',
  Network: 'vpc',
  Firewall: 'securityGroup',
  Address: 'address',
};

/** Where a list goes on: one region, one kind, one of EC2's pages at a time. */
interface Cursor {
  region: number;
  kind: number;
  token?: string;
}

/**
 * One page of everything with the broker's stamp. What could not be read is skipped with `complete: false`, so that a
 * region that is down does not hide the others, and nobody concludes anything from its silence (A11).
 * @throws ProviderError `Invalid` for a page that no list gave.
 */
export async function listPage(account: Account, broker: string, page?: string): Promise<ListPage> {
  const cursor = page === undefined ? { region: 0, kind: 0 } : readCursor(page);
  const region = account.regions[cursor.region];
  const kind = kinds[cursor.kind];
  if (region === undefined || kind === undefined) {
    if (page === undefined) return { items: [], complete: true };
    throw new ProviderError('Invalid', 'the page is not one of this list');
  }
  const after: Cursor | undefined =
    cursor.kind + 1 < kinds.length
      ? { region: cursor.region, kind: cursor.kind + 1 }
      : cursor.region + 1 < account.regions.length
        ? { region: cursor.region + 1, kind: 0 }
        : undefined;
  try {
    const { items, next } = await read(account.ec2(region), region, kind, broker, cursor.token);
    const following = next ? { ...cursor, token: next } : after;
    return { items, nextPage: following && writeCursor(following), complete: true };
  } catch (error) {
    if (!(error instanceof ProviderError)) throw error;
    const nextPage = after && writeCursor(after);
    if (saysNoImports(kind, error)) return { items: [], nextPage, complete: true };
    account.warn(`${kind} list of ${region} failed: ${error.message}`, error);
    return { items: [], nextPage, complete: false };
  }
}

async function read(
  ec2: EC2Client,
  region: string,
  kind: (typeof kinds)[number],
  broker: string,
  token?: string,
): Promise<{ items: Listed[]; next?: string }> {
  const Filters = [{ Name: `tag:${stampTags.broker}`, Values: [broker] }];
  if (kind !== 'instance') {
    const { objects, next } = await describePage(ec2, kind, { Filters }, token);
    const items = objects.flatMap(({ ref, providerKind, tags, state, zone, createdAt }): Listed[] => {
      const stamp = stampOf(tags);
      if (!stamp) return [];
      const of = kindOf(tags);
      // Until the image is there, its import stands for it.
      const child = mains[of] !== providerKind && providerKind !== 'importTask';
      return [{ ref, kind: of, stamp, location: { region, zone }, state, providerKind, child, createdAt }];
    });
    return { items, next };
  }
  const answer = await reading(ec2.send(new DescribeInstancesCommand({ Filters, NextToken: token })));
  const machines = (answer.Reservations ?? [])
    .flatMap((reservation) => reservation.Instances ?? [])
    .filter((instance): instance is Machine => instance.InstanceId !== undefined)
    .filter((machine) => stateOf(machine) !== 'terminated');
  const sizes = await readSizes(
    ec2,
    machines.flatMap((machine) => machine.InstanceType ?? []),
  );
  const items = machines.flatMap((machine): Listed[] => {
    const stamp = stampOf(machine.Tags);
    if (!stamp) return [];
    return [
      {
        ref: machine.InstanceId,
        kind: 'Instance',
        stamp,
        location: locationOf(machine, region),
        state: isDead(machine) ? 'removing' : instanceState(machine),
        providerKind: 'instance',
        child: false,
        createdAt: machine.LaunchTime?.toISOString(),
        details: detailsOf(machine, sizes),
      },
    ];
  });
  return { items, next: answer.NextToken || undefined };
}

function writeCursor(cursor: Cursor): string {
  return Buffer.from(JSON.stringify(cursor)).toString('base64url');
}

function readCursor(page: string): Cursor {
  try {
    const cursor = JSON.parse(Buffer.from(page, 'base64url').toString('utf8')) as Cursor;
    if (Number.isInteger(cursor.region) && Number.isInteger(cursor.kind)) return cursor;
  } catch (error) {
    throw new ProviderError('Invalid', 'the page is not one of this list', {}, error);
  }
  throw new ProviderError('Invalid', 'the page is not one of this list');
}
