import { seeded } from '../../testing/random-cases.ts';
import {
  ALONE,
  type Batch,
  type BatchHost,
  type Cell,
  cellOf,
  type MachineClass,
  type Placed,
  type Pool,
  scoreOf,
  THE_HOST,
  type TogetherRule,
  UNKNOWN,
} from '../problem.ts';
import { brokenBy } from '../validate.ts';

/** How large, and what is in it. */
export interface BatchShape {
  classes: number;
  count: number;
  clouds: number;
  hosts: number;
  /** Hosts in a pool of their own, as for few hosts; or in pools of several. */
  ownPools: boolean;
  /** Whether rules of affinity have a say. */
  together?: boolean;
  /** How scarce limits and hosts are: the part of all machines they have room for. */
  scarcity: number;
}

/** A batch in which limits, spread, anti-affinity and hosts bind, from a seed. */
export function randomBatch(seed: number, shape: BatchShape): Batch {
  const next = seeded(seed);
  const int = (n: number): number => Math.floor(next() * n);
  const chance = (p: number): boolean => next() < p;
  const machines = shape.classes * ((1 + shape.count) / 2);
  const room = (): number => Math.max(0, Math.round(machines * shape.scarcity * (0.3 + next())));
  const zones = Math.max(2, Math.min(shape.clouds, 4));
  const byHost = chance(0.3);
  const limits: Batch['limits'] = Array.from({ length: 1 + int(3) }, (_, l) => {
    const counts = (['instances', 'vcpu', 'price', 'gpu'] as const)[int(4)]!;
    const unit = { instances: 1, vcpu: 3, price: 0.15, gpu: 0.3 }[counts];
    return {
      words: `limit ${l}`,
      counts,
      shared: true,
      left: counts === 'price' ? room() * unit : Math.round(room() * unit),
    };
  });
  const spreads: Batch['spreads'] = chance(0.6)
    ? [
        {
          words: 'spread',
          min: 1 + int(3),
          maxShare: [0.34, 0.5, 0.75, 1][int(4)]!,
          existing: new Map(
            byHost ? [] : Array.from({ length: int(2) }, () => [int(zones), 1 + int(2)] as const),
          ),
          existingAlone: 0,
          sure: true,
        },
      ]
    : [];
  const apart: Batch['apart'] = chance(0.5)
    ? [
        {
          words: 'apart',
          alone: new Set(chance(0.5) ? [0, 1] : []),
          pairs: chance(0.6) ? [[0, 1] as const] : [],
        },
      ]
    : [];
  const together = shape.together === true ? [randomTogether(next, zones)] : [];
  const pools: Pool[] = [];
  const hosts: BatchHost[] = Array.from({ length: shape.hosts }, (_, h) => {
    const pool = shape.ownPools ? h : h % Math.min(2, shape.hosts);
    return { name: `h${h}`, pool, free: [2 + int(7), [4, 8, 16][int(3)]!, 100, int(4)] as const };
  });
  for (const [h, { pool }] of hosts.entries()) {
    pools[pool] ??= { words: `pool ${pool}`, hosts: [] };
    (pools[pool].hosts as number[]).push(h);
  }
  const domain = (place: number, pool: number): number => {
    if (!byHost || (shape.together === true && !shape.ownPools)) return place % zones;
    return pool < 0 ? ALONE : pools[pool]!.hosts.length === 1 ? pools[pool]!.hosts[0]! : THE_HOST;
  };
  const cells: Cell[] = Array.from({ length: shape.clouds + pools.length }, (_, place) => {
    const pool = place < shape.clouds ? -1 : place - shape.clouds;
    const at = domain(place, pool);
    return {
      pool,
      limits: limits.flatMap((_, l) => (chance(0.5) ? [l] : [])),
      spreads: spreads.map((_, group) => ({ group, domain: at })),
      apart: apart.map((_, rule) => ({ rule, domain: at, held: chance(0.9) })),
      together: together.map((_, rule) =>
        chance(0.1) ? { rule, domain: UNKNOWN, held: false } : { rule, domain: at, held: chance(0.95) },
      ),
    };
  });
  const classes: MachineClass[] = Array.from({ length: shape.classes }, () => {
    const vcpus = [1, 2, 4][int(3)]!;
    const size = [vcpus, vcpus * [1, 2, 4][int(3)]!, 10, chance(0.3) ? 1 + int(2) : 0] as const;
    const chosen = cells.filter(() => chance(0.7));
    const spread = spreads.length > 0 && chance(0.7);
    // A class that is not in the group has cells without it.
    const own = spread ? chosen : chosen.map((cell) => ({ ...cell, spreads: [] }));
    const listed = own
      .map((cell) => ({ cell, ...priceOf(vcpus, next), more: int(2), gpu: chance(0.2) ? 1 : 0 }))
      .sort((x, y) => x.score - y.score);
    return {
      count: 1 + int(shape.count),
      size,
      apart: new Map(apart.length > 0 && chance(0.7) ? [[0, [int(2), 1]]] : []),
      together: new Map(together.length > 0 && chance(0.8) ? [[0, randomSets(next)]] : []),
      spreads: spread ? [0] : [],
      loose: false,
      options: {
        length: listed.length,
        meaning: listed.map((_, i) => i),
        cells: listed.map((o) => o.cell),
        pool: listed.map((o) => o.cell.pool),
        score: listed.map((o) => o.score),
        price: listed.map((o) => o.price),
        vcpus: listed.map((o) => (o.cell.pool < 0 ? vcpus + o.more : vcpus)),
        memoryGiB: listed.map(() => size[1]),
        gpuCount: listed.map((o) => o.gpu),
        offer: listed.map((_, i) => i),
      },
    };
  });
  return { classes, limits, spreads, apart, together, hosts, pools };
}

/** Two sets that a rule has a say over, and one that it has not: such as a web, its databases, and what they may be beside as well. */
function randomTogether(next: () => number, zones: number): TogetherRule {
  const chance = (p: number): boolean => next() < p;
  const sets = [0, 1].map((set) => {
    const beside = [0, 1, 2].filter((other) => chance(other === set ? 0.6 : other < set ? 0.5 : 0.35));
    const existing = new Set(chance(0.2) ? [Math.floor(next() * zones)] : []);
    return { beside, existing, mayBeFirst: existing.size === 0 && beside.includes(set) };
  });
  return {
    words: 'together',
    sets: [...sets, { beside: null, existing: new Set<number>(), mayBeFirst: false }],
  };
}

/** The set of a class where the rule has a say, and where not. */
function randomSets(next: () => number): readonly [number, number] {
  const free = next() < 0.5 ? 2 : -1;
  return next() < 0.25 ? [free, free] : [Math.floor(next() * 2), free];
}

function priceOf(vcpus: number, next: () => number): { score: number; price: number } {
  const price = Math.round((0.02 + 0.08 * next()) * vcpus * 1000) / 1000;
  return { price, score: next() < 0.3 ? Math.round(price * 1100) / 1000 : price };
}

/** The best answer by trying all: fewest unplaced, then the least score. Only for a handful of machines. */
export function bruteForce(batch: Batch): { unplaced: number; score: number } {
  const total = batch.classes.reduce((t, c) => t + c.count, 0);
  let best = { unplaced: total, score: 0 };
  const placed: Placed[] = [];
  const visit = (c: number, spot: number, open: number, left: number): void => {
    if (c === batch.classes.length) {
      const unplaced = left;
      if (unplaced > best.unplaced) return;
      const score = scoreOf(batch, placed);
      if (unplaced === best.unplaced && score >= best.score - 1e-12) return;
      if (brokenBy(batch, placed).length === 0) best = { unplaced, score };
      return;
    }
    const spots = spotsOf(batch, c);
    if (spot === spots.length) {
      if (left + open > best.unplaced) return;
      visit(c + 1, 0, batch.classes[c + 1]?.count ?? 0, left + open);
      return;
    }
    visit(c, spot + 1, open, left);
    for (let n = 1; n <= open; n++) {
      placed.push({ class: c, ...spots[spot]!, count: n });
      visit(c, spot + 1, open - n, left);
      placed.pop();
    }
  };
  visit(0, 0, batch.classes[0]?.count ?? 0, 0);
  return best;
}

function spotsOf(batch: Batch, c: number): { option: number; host: number }[] {
  const { options } = batch.classes[c]!;
  return Array.from({ length: options.length }, (_, option) => option).flatMap((option) => {
    const { pool } = cellOf(options, option);
    return pool < 0 ? [{ option, host: -1 }] : batch.pools[pool]!.hosts.map((host) => ({ option, host }));
  });
}
