/** What machines have cost since midnight here, and cost now. */
import type { Schemas } from '@landfall/model';
import { counted, pricePerHour, spent } from '@landfall/model/quantities.ts';
import { type BrokerConnection, body } from '../broker/connection.ts';

const minuteMs = 60_000;
/** What runs adds up here; so often it is read again without a reason. */
const longestMs = 10 * minuteMs;
/** The most expensive ones. */
const mostProjects = 5;

/** Reads it at most once a minute, and again only when machines have changed, a day has begun, or it was long ago. */
export class Spending {
  readonly #connection: BrokerConnection;
  readonly #told: () => void;
  #read: { spend: Schemas['Spend']; from: number; at: number } | undefined;
  #askedAt = Number.NEGATIVE_INFINITY;
  #stale = true;

  /** `told` is called when there is news of it. */
  constructor(connection: BrokerConnection, told: () => void) {
    this.#connection = connection;
    this.#told = told;
  }

  /** Machines may have changed. */
  changed(now: number): void {
    this.#stale = true;
    this.tick(now);
  }

  /** To be called about once a minute while the broker is there. */
  tick(now: number): void {
    const age = now - this.#askedAt;
    const from = midnightBefore(now);
    if (age < minuteMs || !(this.#stale || from !== this.#read?.from || age >= longestMs)) return;
    this.#askedAt = now;
    this.#stale = false;
    const query = { from: new Date(from).toISOString(), pageSize: mostProjects };
    const { client, closed: signal } = this.#connection;
    body(client.GET('/v1/spend', { params: { query }, signal })).then(
      (spend) => {
        this.#read = { spend, from, at: now };
        this.#told();
      },
      () => {
        // The connection says why, or the broker is too old for it: it is tried again.
        this.#stale = true;
      },
    );
  }

  /** What the status bar says, and the lines of its tooltip; undefined while today's is not known. */
  words(now: number): { today: string; lines: string[] } | undefined {
    if (this.#read?.from !== midnightBefore(now)) return undefined;
    const { spend, at } = this.#read;
    const hours = (now - at) / 3_600_000;
    const soFar = (sum: Schemas['SpendSum']): string =>
      spent(sum.amount + sum.pricePerHour * hours, sum.currency);
    const { totals, items, nextPageToken } = spend;
    const today = totals.length > 0 ? totals.map(soFar).join(' + ') : spent(0);
    const rate = totals
      .filter(({ running }) => running > 0)
      .map((sum) => pricePerHour(sum.pricePerHour, sum.currency))
      .join(' + ');
    const running = totals.reduce((sum, { running }) => sum + running, 0);
    return {
      today: `${today} today`,
      lines: [
        `${today} spent on machines since midnight`,
        ...(running > 0 ? [`${counted(running, 'machine')} at ${rate} an hour now`] : []),
        ...items.map((item) => `${item.name}: ${soFar(item)}`),
        ...(nextPageToken === undefined ? [] : ['…']),
      ],
    };
  }
}

function midnightBefore(now: number): number {
  return new Date(now).setHours(0, 0, 0, 0);
}
