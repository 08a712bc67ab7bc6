/** Makes a {@link Batch} of requests, prices, sites and policies: the one place where a batch meets placement. */
import { setImmediate } from 'node:timers/promises';
import { combinations } from '../cel/columnar.ts';
import { type CelRequest, celRequest } from '../cel/schema.ts';
import type { Domain, GroupKey } from '../file/policy.ts';
import { memo } from '../memo.ts';
import { isSetAside } from '../place/available.ts';
import type { Circumstances } from '../place/circumstances.ts';
import type { CompiledRule } from '../place/compiled.ts';
import { gpusOf } from '../place/fit.ts';
import { candidateValue, groupName, isRequestKey } from '../place/groups.ts';
import { rulesInForce } from '../place/in-force.ts';
import { cloudTable, type OfferTable } from '../place/offers.ts';
import { measuredType, onpremOffers } from '../place/onprem.ts';
import { requestPart } from '../place/request-parts.ts';
import { isTurned, ownStandingRules, rulesAgainst, type TurnedRule } from '../place/standing-rules.ts';
import type { EstateMachine, PlacedOffer, PlacementRequest } from '../place/types.ts';
import { type Affinity, affinityOf, waitsForever } from './affinity.ts';
import { breather } from './breather.ts';
import { keptApart } from './company.ts';
import { type Asked, Coupling, coupledAttributes, isCoupled, isSure, type Offered } from './coupling.ts';
import { mayHold, namesHosts, readsNames, readsOf, readsWholeRequest } from './distinctions.ts';
import { type Group, Grouping, type Parting } from './groups.ts';
import { type Menu, menuFrom, menuOf, picked } from './menu.ts';
import { type Part, partsOf, type Unsound } from './parts.ts';
import { type Pools, poolsOf } from './pools.ts';
import {
  type ApartRule,
  type Batch,
  type Cell,
  cellOf,
  type MachineClass,
  type Options,
  type SetsOf,
} from './problem.ts';
import type { BatchInput } from './types.ts';

/** A batch, and the way back from its numbers to requests and offers. */
export interface Candidates {
  batch: Batch;
  /** The requests of each class: places in the input, in order. */
  members: number[][];
  unsound: Unsound[];
  /** The offer of a class's option; on-prem, on that host. */
  offer: (machines: number, option: number, host: number) => PlacedOffer;
  notices: string[];
}

/** Requests that every rule says the same of for offers of any size: one evaluation serves all. */
interface Kind {
  context: Circumstances;
  /** The rules about one machine, and those about several. */
  single: readonly CompiledRule[];
  coupled: readonly CompiledRule[];
  /** Per anti-affinity rule of the coupling, whether it has a say. */
  held: readonly boolean[];
  /** Those of the coupled that are in force for every offer, and what is shared with kinds that others are in force for; null: a gate reads offers. */
  everywhere: { inForce: readonly CompiledRule[]; parting: Parting } | null;
  clouds: readonly Group[];
  menus: Map<string, Menu>;
}

/** Lets the event loop turn as it goes: for thousands of kinds of requests it takes a second. Throws the signal's reason. */
export async function candidatesOf(input: BatchInput, now: Date, signal?: AbortSignal): Promise<Candidates> {
  const gathering = new Gathering(input, now);
  await setImmediate();
  return gathering.gather(signal);
}

class Gathering {
  readonly #input: BatchInput;
  readonly #now: Date;
  readonly #estate: readonly EstateMachine[];
  readonly #clouds: OfferTable;
  readonly #pools: Pools;
  readonly #coupling: Coupling;
  readonly #kinds = new Map<string, Kind>();
  readonly #notices: string[];
  readonly #namesMatter: boolean;
  readonly #hostTables = new Map<string, OfferTable>();
  /** By row: the machines of a batch share a few hundred. */
  readonly #cloudOffers = new Map<number, PlacedOffer>();
  readonly #grouping: Grouping;
  readonly #partings = new Map<string, Parting>();
  /** What groups mean to the coupled rules, by what those read of a request, then by meaning. */
  readonly #cells = new Map<string, { asked: Asked; cells: Cell[]; menus: Set<Menu> }>();
  readonly #numbers: ReadonlyMap<CompiledRule, number>;
  readonly #affinities: readonly CompiledRule[];
  readonly #turned = new Map<string, readonly TurnedRule[]>();
  /** What coupled rules group machines by that the request says. */
  readonly #requestKeys: GroupKey[];

  constructor(input: BatchInput, now: Date) {
    const { requests, sites, policies, catalogue } = input;
    this.#input = input;
    this.#now = now;
    const own = new Set(requests.map(({ request }) => JSON.stringify([request.project, request.name])));
    this.#estate = (input.estate ?? []).filter((m) => !own.has(JSON.stringify([m.project, m.name])));
    const rules = policies.rules.filter((rule) => rule.mode === 'enforce' && !rule.readsResource);
    const coupled = rules.filter(isCoupled);
    const known = [...rules, ...ownStandingRules(this.#estate)];
    const namesHost =
      known.some((rule) => readsOf(rule).has('host') || namesHosts(rule, this.#estate)) ||
      requests.some(({ request }) => request.hosts.length > 0);
    this.#pools = poolsOf(sites, input.setAside, namesHost);
    this.#numbers = new Map(policies.rules.map((rule, i) => [rule, i]));
    this.#requestKeys = [
      ...new Set(
        coupled.flatMap(({ clause }) => ('group' in clause ? clause.group.filter(isRequestKey) : [])),
      ),
    ];
    const apart = coupled.filter((rule) => rule.effect === 'antiAffinity');
    this.#clouds = cloudTable(catalogue, sites);
    this.#coupling = new Coupling(this.#estate, apart, this.#pools.names, this.#clouds);
    this.#affinities = rules.filter((rule) => rule.effect === 'affinity');
    const attributes = coupledAttributes([...coupled, ...this.#affinities]);
    this.#grouping = new Grouping({
      clouds: this.#clouds,
      places:
        attributes.length === 0
          ? new Uint32Array(this.#clouds.length)
          : combinations(this.#clouds, attributes).codes,
      aside: input.setAside.flatMap((aside) => isSetAside(this.#clouds, aside) ?? []),
      includeUnconfigured: input.includeUnconfigured,
      numbers: this.#numbers,
      poolAt: (offer) => this.#poolAt(offer),
    });
    this.#namesMatter = known.some(readsNames);
    this.#notices = requests.length === 0 ? [] : onpremOffers(requests[0]!.request, sites).notices;
  }

  async gather(signal: AbortSignal | undefined): Promise<Candidates> {
    const pause = breather(signal);
    const parted = await partsOf(this.#input.requests, this.#namesMatter, pause);
    const affinities = this.#affinitiesAmong(parted.parts);
    const { parts, unsound, rowOf } = this.#able(parted, affinities);
    const kinds: Kind[] = [];
    for (const [c, { request }] of parts.entries()) {
      await pause();
      const together = affinities.filter(({ isDrawn }) => isDrawn[rowOf[c]!]);
      kinds.push(this.#kindOf(request, new Set(together.map(({ rule }) => rule))));
    }
    const wanted = parts.map(({ request }) => request);
    const { rules: apart, setsOf } = this.#apart(wanted, kinds);
    const classes: MachineClass[] = [];
    for (const [c, request] of wanted.entries()) {
      await pause();
      const kind = kinds[c]!;
      classes.push({
        count: parts[c]!.count,
        size: [request.vcpus, request.memoryGiB, request.diskGiB, gpusOf(request)],
        options: this.#optionsOf(request, kind),
        apart: setsOf[c]!,
        together: togetherSets(affinities, rowOf[c]!),
        spreads: this.#coupling.sureSpreads(kind.coupled, { request, names: new Map() }),
        loose: kind.coupled.some((rule) => rule.effect === 'spread' && !isSure(rule)),
      });
    }
    await setImmediate();
    const { hosts, pools } = this.#pools;
    const { limits, spreads } = this.#coupling;
    return {
      batch: { classes, limits, spreads, apart, together: affinities.map((a) => a.together), hosts, pools },
      members: parts.map(({ members }) => members),
      unsound,
      offer: (c, option, host) => this.#offer(wanted[c]!, classes[c]!.options, option, host),
      notices: this.#notices,
    };
  }

  #enforced(request: PlacementRequest, cel: CelRequest): CompiledRule[] {
    const { rules } = rulesInForce(this.#input.policies, [], request, cel, this.#now);
    return rules.filter((rule) => rule.mode === 'enforce');
  }

  #contextOf(request: PlacementRequest): Circumstances {
    return {
      request,
      cel: celRequest(request),
      now: this.#now,
      estate: this.#estate,
      sites: this.#input.sites,
    };
  }

  /** Anti-affinity of machines that stand, of which some are to be apart from the request's. */
  #turnedAgainst(request: PlacementRequest): readonly TurnedRule[] {
    if (this.#estate.length === 0) return [];
    const { name, project, organization, labels } = request;
    const known = JSON.stringify([this.#namesMatter ? name : '', project, organization, labels]);
    return memo(this.#turned, known, () => {
      return rulesAgainst(this.#input.policies, this.#contextOf(request));
    });
  }

  /** The affinity rules by which some machines of the batch are to be with others of it. */
  #affinitiesAmong(parts: readonly Part[]): Affinity[] {
    if (this.#affinities.length === 0) return [];
    const all = parts.map(({ request, count }) => {
      const context = this.#contextOf(request);
      return { context, count, rules: new Set(this.#enforced(request, context.cel)) };
    });
    const found = this.#affinities.flatMap((rule) => {
      const members = all.map(({ context, count, rules }) => {
        return { context, count, held: rules.has(rule) && this.#maySpeak(rule, context) };
      });
      const { by } = rule.clause as { by: Domain };
      return affinityOf(rule, members, this.#now, (m) => this.#coupling.domainOf(m, by)) ?? [];
    });
    this.#coupling.together = found.map(({ rule }) => rule);
    return found;
  }

  /** The parts without those that wait for each other, which are told with the others that cannot be looked at. `rowOf`: where they were. */
  #able(
    { parts, unsound }: { parts: Part[]; unsound: Unsound[] },
    affinities: readonly Affinity[],
  ): { parts: Part[]; unsound: Candidates['unsound']; rowOf: number[] } {
    const waits = waitsForever(affinities, parts.length);
    const left = parts.flatMap(({ members }, row) => {
      const reasons = waits[row]!.map(
        ({ policy, rule }) =>
          `affinity ${policy}/${rule} wants it beside machines of this batch of which none may be the first: place one of them first`,
      );
      return reasons.length === 0 ? [] : members.map((request) => ({ request, reasons }));
    });
    const rowOf = [...parts.keys()].filter((row) => waits[row]!.length === 0);
    return { parts: rowOf.map((row) => parts[row]!), unsound: [...unsound, ...left], rowOf };
  }

  /** `together`: the affinity rules by which it is to be with others of the batch. */
  #kindOf(request: PlacementRequest, together: ReadonlySet<CompiledRule>): Kind {
    const context = this.#contextOf(request);
    const { cel } = context;
    const enforced = this.#enforced(request, cel);
    const turned = this.#turnedAgainst(request);
    // The conditions but for the sizes, which offers are held against one by one.
    const { architecture, market, instanceType, gpuName, providers, sites, regions, zones, hosts } = request;
    const conditions = [architecture, market, instanceType, gpuName, providers, sites, regions, zones, hosts];
    const said = (rule: CompiledRule) => `${this.#numbers.get(rule)} ${requestPart(rule, cel)}`;
    // A rule about other machines that has no say here says the same of all such requests.
    const isWhole = (rule: CompiledRule): boolean =>
      readsWholeRequest(rule) && !together.has(rule) && this.#maySpeak(rule, context);
    const keyOf = (rules: readonly CompiledRule[]): string =>
      JSON.stringify([conditions, turned.length > 0 || rules.some(isWhole) ? request : '', rules.map(said)]);
    const drawn = [...together].map((rule) => this.#numbers.get(rule));
    return memo(this.#kinds, JSON.stringify([keyOf(enforced), drawn]), () =>
      this.#evaluate(request, [...enforced, ...turned], together, keyOf),
    );
  }

  /** `keyOf`: equal for requests of which these rules say the same. */
  #evaluate(
    request: PlacementRequest,
    rules: readonly CompiledRule[],
    together: ReadonlySet<CompiledRule>,
    keyOf: (rules: readonly CompiledRule[]) => string,
  ): Kind {
    const context = { ...this.#contextOf(request), request: { ...request, ...NO_SIZE } };
    // Limits and spread are the batch's own matter, and affinity where others of the batch will do; anti-affinity is also
    // towards machines that exist.
    const isShared = (rule: CompiledRule): boolean => isCoupled(rule) || together.has(rule);
    const single = rules.filter((rule) => !isShared(rule) || rule.effect === 'antiAffinity');
    const coupled = rules.filter(
      (rule) => isShared(rule) && !isTurned(rule) && this.#maySpeak(rule, context),
    );
    const held = this.#coupling.apart.map((rule) => coupled.includes(rule));
    const common = { context, single, coupled, held, menus: new Map<string, Menu>() };
    if (coupled.some(({ gate }) => (gate?.offerAttributes.size ?? 0) > 0))
      return {
        ...common,
        everywhere: null,
        clouds: this.#grouping.under(this.#clouds, single, coupled, context),
      };
    const inForce = coupled.filter((rule) => mayHold(rule, this.#clouds, context));
    // Which sizes are worth choosing depends on what quotas count.
    const counted = inForce.map(({ clause }) => (clause.effect === 'quota' ? clause.resource : ''));
    const shared = JSON.stringify([keyOf(single), [...new Set(counted)].sort()]);
    const parting = memo(this.#partings, shared, () => ({
      clouds: this.#grouping.before(this.#clouds, single, inForce, context),
      hosts: new Map(),
      picked: new Map(),
    }));
    const clouds = this.#grouping.narrowed(parting.clouds, inForce);
    return { ...common, everywhere: { inForce, parting }, clouds };
  }

  #maySpeak(rule: CompiledRule, context: Circumstances): boolean {
    return mayHold(rule, this.#clouds, context) || readsOf(rule).size > 0;
  }

  #poolAt(offer: (attribute: 'site' | 'host') => unknown): Offered['pool'] {
    const index = this.#pools.poolOf.get(`${offer('site')}/${offer('host')}`);
    return index === undefined ? null : { index, hosts: this.#pools.pools[index]!.hosts.length };
  }

  #hostTable(request: PlacementRequest): OfferTable {
    const key = `${request.vcpus} ${request.memoryGiB} ${gpusOf(request)}`;
    return memo(this.#hostTables, key, () => onpremOffers(request, this.#pools.stand).table);
  }

  #optionsOf(request: PlacementRequest, kind: Kind): Options {
    const { vcpus, memoryGiB, maxPricePerHour } = request;
    const size = JSON.stringify([vcpus, memoryGiB, gpusOf(request), maxPricePerHour]);
    const menu = memo(kind.menus, size, () => this.#menuOf(request, kind));
    const read = this.#requestKeys.map((key) => candidateValue(request, () => undefined, key));
    const { asked, cells, menus } = memo(this.#cells, groupName(read), () => ({
      asked: { request, names: new Map() },
      cells: [] as Cell[],
      menus: new Set<Menu>(),
    }));
    const { groups, ...options } = menu;
    if (!menus.has(menu))
      for (const { meaning, coupled, offered } of groups)
        cells[meaning] ??= this.#coupling.cell(coupled, asked, offered);
    menus.add(menu);
    return { ...options, cells };
  }

  #menuOf(request: PlacementRequest, kind: Kind): Menu {
    const { single, coupled, everywhere, clouds } = kind;
    const context = { ...kind.context, request: { ...request, maxPricePerHour: 0 } };
    const table = this.#pools.hosts.length === 0 ? null : this.#hostTable(request);
    if (everywhere === null) {
      const hosts = table === null ? [] : this.#grouping.under(table, single, coupled, context);
      return menuOf(request, [...clouds, ...hosts]);
    }
    const { inForce, parting } = everywhere;
    const size = JSON.stringify([request.vcpus, request.memoryGiB, gpusOf(request)]);
    const hosts =
      table === null
        ? []
        : memo(parting.hosts, size, () => this.#grouping.before(table, single, inForce, context));
    const groups = [...clouds, ...this.#grouping.narrowed(hosts, inForce)];
    // Where a group is out, what is left may be chosen from otherwise.
    if (groups.length < parting.clouds.length + hosts.length) return menuOf(request, groups);
    const dishes = memo(parting.picked, `${size} ${request.maxPricePerHour}`, () =>
      picked(request, [...parting.clouds, ...hosts]),
    );
    return menuFrom(dishes, groups);
  }

  #apart(
    wanted: readonly PlacementRequest[],
    kinds: readonly Kind[],
  ): { rules: ApartRule[]; setsOf: SetsOf[] } {
    const setsOf = wanted.map(() => new Map<number, readonly [number, number]>());
    const rules = this.#coupling.apart.map((rule, r) => {
      const company = wanted.map((request, c) => ({ request, held: kinds[c]!.held[r]! }));
      const { rule: apart, setsOf: found } = keptApart(rule, company, this.#now);
      found.forEach((sets, c) => {
        if (sets !== null) setsOf[c]!.set(r, sets);
      });
      return apart;
    });
    return { rules, setsOf };
  }

  #offer(request: PlacementRequest, options: Options, option: number, host: number): PlacedOffer {
    const row = options.offer[option]!;
    const { pool } = cellOf(options, option);
    const offer =
      pool < 0
        ? { ...memo(this.#cloudOffers, row, () => this.#clouds.offer(row)) }
        : this.#hostTable(request).offer(row);
    const score = options.score[option]!;
    if (pool >= 0) {
      offer.host = this.#pools.hosts[host]!.name;
      offer.instanceType = measuredType(request);
    }
    if (score !== offer.pricePerHour) offer.scorePerHour = score;
    return offer;
  }
}

/** The sets of a kind in each rule that concerns it. */
function togetherSets(affinities: readonly Affinity[], row: number): SetsOf {
  const sets = affinities.map(({ setsOf }, rule) => [rule, setsOf[row]!] as const);
  return new Map(sets.filter(([, [held, free]]) => held >= 0 || free >= 0));
}

/** What offers of any size fit, so that sizes can be looked at one by one. */
const NO_SIZE = { vcpus: 1, memoryGiB: Number.MIN_VALUE, diskGiB: 0, gpuCount: 0, maxPricePerHour: 0 };
