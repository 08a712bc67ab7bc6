/** What the running machines of the estate cost now. */
import type { Instance } from '@landfall/model';
import type { Estate } from './estate.ts';

/** Spend of now, in the currency of most of it. */
export interface Spend {
  perDay: number;
  currency: string;
  machines: number;
  /** There are more machines than were read: it is at least this much. */
  partial: boolean;
}

/** So many machines are read, and a page more at most. */
const mostMachines = 20_000;

/** A machine that is stopped, not made yet or gone costs no machine's price. */
const costless = new Set<Instance['status']['state']>([
  'Pending',
  'Stopped',
  'Deleted',
  'Released',
  'Failed',
  'Lost',
]);

/** Reads the instances of every project that the token sees; the lists follow the watch stream from then on. */
export async function readSpending(estate: Estate): Promise<void> {
  let machines = 0;
  await estate.projects.load();
  for (const { name } of estate.projects.items()) {
    if (machines >= mostMachines) return;
    const list = estate.instances(name);
    await list.load();
    while (list.more && machines + list.size < mostMachines) await list.loadMore();
    machines += list.size;
  }
}

/** The sum over what has been read; undefined where nothing has been. */
export function spendOf(estate: Estate): Spend | undefined {
  if (!estate.projects.loaded) return undefined;
  const sums = new Map<string, number>();
  let machines = 0;
  let partial = estate.projects.more;
  for (const { name } of estate.projects.items()) {
    const list = estate.instances(name);
    partial ||= list.more || !list.loaded;
    for (const { status } of list.items()) {
      if (status.pricePerHour === undefined || costless.has(status.state)) continue;
      const currency = status.currency ?? 'USD';
      sums.set(currency, (sums.get(currency) ?? 0) + status.pricePerHour * 24);
      machines++;
    }
  }
  const [[currency, perDay] = ['USD', 0]] = [...sums].sort((a, b) => b[1] - a[1]);
  return { perDay, currency, machines, partial };
}
