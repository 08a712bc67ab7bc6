import type { protos } from '@google-cloud/compute';
import { type Account, reading } from './clients.ts';

interface Answers {
  instances: protos.google.cloud.compute.v1.IInstancesScopedList;
  disks: protos.google.cloud.compute.v1.IDisksScopedList;
}

interface Page<S> {
  items?: Record<string, S & { warning?: { code?: unknown } | null }> | null;
  nextPageToken?: string | null;
  unreachables?: string[] | null;
}

/**
 * A list over all zones, with the scopes that Google could not reach: it names them inside a 200 answer, beside what it did find.
 * (The library's own iterator drops the names.)
 */
export async function aggregated<C extends keyof Answers>(
  account: Account,
  collection: C,
  filter: string,
): Promise<{ scopes: [string, Answers[C]][]; away: string[] }> {
  const client = account.clients[collection];
  await reading(client.initialize());
  const list = client.innerApiCalls.aggregatedList as (
    request: object,
    options: object,
  ) => Promise<[unknown, unknown, Page<Answers[C]>]>;
  const scopes: [string, Answers[C]][] = [];
  const away = new Set<string>();
  let pageToken: string | undefined;
  do {
    const request = { project: await account.project(), filter, pageToken };
    const [, , page] = await reading(list(request, account.call));
    for (const [scope, found] of Object.entries(page.items ?? {})) {
      scopes.push([scope, found]);
      if (found.warning?.code === 'UNREACHABLE') away.add(scope);
    }
    for (const link of page.unreachables ?? []) away.add(link.replace(/^.*\/(?=(zones|regions)\/)/, ''));
    pageToken = page.nextPageToken || undefined;
  } while (pageToken !== undefined);
  return { scopes, away: [...away] };
}
