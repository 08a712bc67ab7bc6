import { put } from './fill.ts';
import { EPSILON, type Placed } from './problem.ts';
import type { Tally } from './tally.ts';

/** Exchanges tried per host and round. */
const TRIES = 30;

/** A machine that is elsewhere and would be cheaper on a host of a pool. */
interface Wish {
  from: Placed;
  option: number;
  gain: number;
}

/**
 * Takes up the slack that packing leaves on hosts: puts a machine from a dearer place on a host in the stead of one
 * that is smaller or gains less there, which goes to its own next best place, where that lowers the score. Hosts in
 * order, at each the exchange that promises most first. Ends after so many rounds, or when nothing moves.
 */
export function exchange(tally: Tally, rounds: number): void {
  if (tally.batch.hosts.length === 0) return;
  for (let round = 0; round < rounds; round++) {
    let moved = false;
    const wishes = wishesByPool(tally);
    const onHost = tally.batch.hosts.map(() => [] as Placed[]);
    for (const p of tally.placements()) if (p.host >= 0) onHost[p.host]!.push(p);
    for (let h = 0; h < onHost.length; h++) if (exchangeOn(tally, h, onHost[h]!, wishes)) moved = true;
    if (!moved) return;
  }
}

function wishesByPool(tally: Tally): Wish[][] {
  const { classes, pools } = tally.batch;
  const wishes = pools.map(() => [] as Wish[]);
  for (const from of tally.placements()) {
    const { score, pool } = classes[from.class]!.options;
    for (let option = 0; option < from.option; option++)
      if (pool[option]! >= 0 && score[option]! < score[from.option]! - EPSILON)
        wishes[pool[option]!]!.push({ from, option, gain: score[from.option]! - score[option]! });
  }
  for (const of of wishes) of.sort((a, b) => b.gain - a.gain);
  return wishes;
}

function exchangeOn(tally: Tally, h: number, here: readonly Placed[], wishes: readonly Wish[][]): boolean {
  const { classes, hosts } = tally.batch;
  const free = tally.free(h);
  // What a machine here costs at least elsewhere: its cheapest option outside the host's pool.
  const losses = here.map((p) => {
    const { score, pool, length } = classes[p.class]!.options;
    let next = 0;
    while (next < length && pool[next] === hosts[h]!.pool) next++;
    return next < length ? score[next]! - score[p.option]! : Number.POSITIVE_INFINITY;
  });
  const found: { wish: Wish; out: Placed | null; gain: number }[] = [];
  for (const wish of wishes[hosts[h]!.pool]!) {
    const { size } = classes[wish.from.class]!;
    for (let i = -1; i < here.length; i++) {
      const out = i < 0 ? null : here[i]!;
      const gain = wish.gain - (i < 0 ? 0 : losses[i]!);
      if (gain <= EPSILON || out?.class === wish.from.class) continue;
      const given = out === null ? NOTHING : classes[out.class]!.size;
      if (size.every((n, d) => n <= free[d]! + given[d]! + EPSILON)) found.push({ wish, out, gain });
    }
  }
  found.sort((a, b) => b.gain - a.gain);
  let moved = false;
  for (const { wish, out } of found.slice(0, TRIES)) if (tryExchange(tally, h, wish, out)) moved = true;
  return moved;
}

const NOTHING = [0, 0, 0];

function tryExchange(tally: Tally, h: number, { from, option }: Wish, out: Placed | null): boolean {
  const { classes } = tally.batch;
  // The lists are of the round's beginning: both may have moved since.
  if (from.count < 1 || (out !== null && out.count < 1)) return false;
  const c = from.class;
  const undo: (() => void)[] = [];
  const add = (of: Pick<Placed, 'class' | 'option' | 'host'>, n: number): void => {
    tally.add(of.class, of.option, of.host, n);
    undo.push(() => tally.add(of.class, of.option, of.host, -n));
  };
  const { class: outClass, option: outOption, host: outHost } = out ?? { class: -1, option: -1, host: -1 };
  const source = { class: c, option: from.option, host: from.host };
  add(source, -1);
  if (out !== null) add({ class: outClass, option: outOption, host: outHost }, -1);
  let change = classes[c]!.options.score[option]! - classes[c]!.options.score[source.option]!;
  let done = tally.room(c, option, h) > 0;
  if (done) add({ class: c, option, host: h }, 1);
  if (done && out !== null) {
    const { score, length } = classes[outClass]!.options;
    done = false;
    for (let k = 0; k < length; k++) {
      if (score[k]! - score[outOption]! + change >= -EPSILON) break;
      if (put(tally, outClass, k, 1) === 0) continue;
      change += score[k]! - score[outOption]!;
      done = true;
      break;
    }
  }
  if (done) return true;
  for (const back of undo.reverse()) back();
  return false;
}
