/** Makes a {@link Batch} of requests, prices, sites and policies: the one place where a batch meets placement. */
import { setImmediate } from 'node:timers/promises';
import { combinations } from '../cel/columnar.ts';
import { celRequest, EVALUATION, reads } from '../cel/schema.ts';
import type { GroupKey } from '../file/policy.ts';
import { memo } from '../memo.ts';
import { isSetAside } from '../place/available.ts';
import type { Circumstances } from '../place/circumstances.ts';
import type { CompiledRule } from '../place/compiled.ts';
import { gpusOf, requestProblems } from '../place/fit.ts';
import { candidateValue, groupName, isRequestKey } from '../place/groups.ts';
import { rulesInForce } from '../place/in-force.ts';
import { cloudTable, type OfferTable } from '../place/offers.ts';
import { measuredType, onpremOffers } from '../place/onprem.ts';
import { requestPart } from '../place/request-parts.ts';
import type { EstateMachine, PlacedOffer, PlacementRequest } from '../place/types.ts';
import { besideOwn } from './beside.ts';
import { breather } from './breather.ts';
import { keptApart } from './company.ts';
import { type Asked, Coupling, coupledAttributes, isCoupled, isSure, type Offered } from './coupling.ts';
import { type Group, Grouping, type Parting } from './groups.ts';
import { type Menu, menuFrom, menuOf, picked } from './menu.ts';
import { type Pools, poolsOf } from './pools.ts';
import { type ApartRule, type Batch, type Cell, cellOf, type MachineClass, type Options } from './problem.ts';
import type { BatchInput } from './types.ts';

/** A batch, and the way back from its numbers to requests and offers. */
export interface Candidates {
  batch: Batch;
  /** The requests of each class: places in the input, in order. */
  members: number[][];
  /** Requests that make no sense, or that a batch cannot look at, with why. */
  unsound: { request: number; reasons: string[] }[];
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

/** Requests that nothing tells apart: one of them, how many machines they are, and their places in the input. */
interface Part {
  request: PlacementRequest;
  count: number;
  members: number[];
}

/** Lets the event loop turn as it goes: for thousands of kinds of requests it takes a second. */
export async function candidatesOf(input: BatchInput, now: Date): Promise<Candidates> {
  const gathering = new Gathering(input, now);
  await setImmediate();
  return gathering.gather();
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
  readonly #grouping: Grouping;
  readonly #partings = new Map<string, Parting>();
  /** What groups mean to the coupled rules, by what those read of a request, then by meaning. */
  readonly #cells = new Map<string, { asked: Asked; cells: Cell[]; menus: Set<Menu> }>();
  readonly #numbers: ReadonlyMap<CompiledRule, number>;
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
    const namesHost =
      rules.some((rule) => readsOf(rule).has('host') || namesHosts(rule, this.#estate)) ||
      requests.some(({ request }) => request.hosts.length > 0);
    this.#pools = poolsOf(sites, input.setAside, namesHost);
    this.#numbers = new Map(policies.rules.map((rule, i) => [rule, i]));
    this.#requestKeys = [
      ...new Set(
        coupled.flatMap(({ clause }) => ('group' in clause ? clause.group.filter(isRequestKey) : [])),
      ),
    ];
    const apart = coupled.filter((rule) => rule.effect === 'antiAffinity');
    this.#coupling = new Coupling(this.#estate, apart, this.#pools.names);
    this.#clouds = cloudTable(catalogue, sites);
    const attributes = coupledAttributes(coupled);
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
    this.#namesMatter = rules.some(readsNames);
    this.#notices = requests.length === 0 ? [] : onpremOffers(requests[0]!.request, sites).notices;
  }

  async gather(): Promise<Candidates> {
    const pause = breather();
    const parted = await this.#parted(pause);
    const { unsound } = parted;
    const found: Kind[] = [];
    for (const { request } of parted.parts) {
      await pause();
      found.push(this.#kindOf(request));
    }
    const beside = this.#besideOwn(parted.parts, found);
    parted.parts.forEach(({ members }, c) => {
      for (const request of beside[c]!.length > 0 ? members : [])
        unsound.push({ request, reasons: beside[c]! });
    });
    const keep = [...found.keys()].filter((c) => beside[c]!.length === 0);
    const kinds = keep.map((c) => found[c]!);
    const parts = keep.map((c) => parted.parts[c]!);
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
        spreads: this.#coupling.sureSpreads(kind.coupled, { request, names: new Map() }),
        loose: kind.coupled.some((rule) => rule.effect === 'spread' && !isSure(rule)),
      });
    }
    await setImmediate();
    const { hosts, pools } = this.#pools;
    const { limits, spreads } = this.#coupling;
    return {
      batch: { classes, limits, spreads, apart, hosts, pools },
      members: parts.map(({ members }) => members),
      unsound,
      offer: (c, option, host) => this.#offer(wanted[c]!, classes[c]!.options, option, host),
      notices: this.#notices,
    };
  }

  /** Requests that no rule and no price tells apart, together. */
  async #parted(
    pause: () => Promise<void> | undefined,
  ): Promise<{ parts: Part[]; unsound: Candidates['unsound'] }> {
    const parts = new Map<string, Part>();
    const unsound: Candidates['unsound'] = [];
    for (const [i, { request, count }] of this.#input.requests.entries()) {
      await pause();
      const reasons = requestProblems(request);
      if (!Number.isSafeInteger(count) || count < 1)
        reasons.push(`count must be a whole number of at least 1, not ${count}`);
      if (reasons.length > 0) {
        unsound.push({ request: i, reasons });
        continue;
      }
      const { name, ...rest } = request;
      const key = JSON.stringify(this.#namesMatter ? request : rest);
      const part = memo(parts, key, () => ({ request, count: 0, members: [] }));
      part.members.push(i);
      part.count += count;
    }
    return { parts: [...parts.values()], unsound };
  }

  #kindOf(request: PlacementRequest): Kind {
    const cel = celRequest(request);
    const { rules } = rulesInForce(this.#input.policies, [], request, cel, this.#now);
    const enforced = rules.filter((rule) => rule.mode === 'enforce');
    // The conditions but for the sizes, which offers are held against one by one.
    const { architecture, market, instanceType, gpuName, providers, sites, regions, zones, hosts } = request;
    const conditions = [
      [architecture, market, instanceType, gpuName, providers, sites, regions, zones, hosts],
      enforced.some(readsWholeRequest) ? request : '',
    ];
    const said = (rule: CompiledRule) => [this.#numbers.get(rule), requestPart(rule, cel)];
    const key = JSON.stringify([conditions, enforced.map(said)]);
    return memo(this.#kinds, key, () =>
      this.#evaluate(request, enforced, (rules) => JSON.stringify([conditions, rules.map(said)])),
    );
  }

  /** `keyOf`: equal for requests of which these rules say the same. */
  #evaluate(
    request: PlacementRequest,
    rules: readonly CompiledRule[],
    keyOf: (rules: readonly CompiledRule[]) => string,
  ): Kind {
    const context: Circumstances = {
      request: { ...request, ...NO_SIZE },
      cel: celRequest(request),
      now: this.#now,
      estate: this.#estate,
      sites: this.#input.sites,
    };
    // Limits and spread are the batch's own matter; anti-affinity is also towards machines that exist.
    const single = rules.filter((rule) => !isCoupled(rule) || rule.effect === 'antiAffinity');
    const coupled = rules.filter((rule) => isCoupled(rule) && this.#maySpeak(rule, context));
    const held = this.#coupling.apart.map((rule) => coupled.includes(rule));
    const common = { context, single, coupled, held, menus: new Map<string, Menu>() };
    if (coupled.some(({ gate }) => (gate?.offerAttributes.size ?? 0) > 0))
      return {
        ...common,
        everywhere: null,
        clouds: this.#grouping.under(this.#clouds, single, coupled, context),
      };
    const inForce = coupled.filter(({ gate }) => gate?.run(this.#clouds, context.cel).all !== 'false');
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

  #maySpeak(rule: CompiledRule, { cel }: Circumstances): boolean {
    return rule.gate === null || rule.gate.run(this.#clouds, cel).all !== 'false' || readsOf(rule).size > 0;
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

  /** For each part, the affinity rules that want it beside other machines of the batch, for a person. */
  #besideOwn(parts: readonly Part[], kinds: readonly Kind[]): string[][] {
    const reasons = parts.map(() => [] as string[]);
    const rules = new Set(kinds.flatMap(({ single }) => single.filter((r) => r.effect === 'affinity')));
    for (const rule of rules) {
      const members = parts.map(({ request, count }, c) => {
        const { single, context } = kinds[c]!;
        return { request, count, context, held: single.includes(rule) && this.#maySpeak(rule, context) };
      });
      besideOwn(rule, members, this.#now).forEach((is, c) => {
        if (is)
          reasons[c]!.push(
            `affinity ${rule.policy}/${rule.rule} wants it beside machines of this batch, and a batch sees only those that exist: place one of them first`,
          );
      });
    }
    return reasons;
  }

  #apart(
    wanted: readonly PlacementRequest[],
    kinds: readonly Kind[],
  ): { rules: ApartRule[]; setsOf: Map<number, number>[] } {
    const setsOf = wanted.map(() => new Map<number, number>());
    const rules = this.#coupling.apart.map((rule, r) => {
      const company = wanted.map((request, c) => ({ request, held: kinds[c]!.held[r]! }));
      const { rule: apart, setOf } = keptApart(rule, company, this.#now);
      setOf.forEach((set, c) => {
        if (set >= 0) setsOf[c]!.set(r, set);
      });
      return apart;
    });
    return { rules, setsOf };
  }

  #offer(request: PlacementRequest, options: Options, option: number, host: number): PlacedOffer {
    const row = options.offer[option]!;
    const { pool } = cellOf(options, option);
    const offer = pool < 0 ? this.#clouds.offer(row) : this.#hostTable(request).offer(row);
    const score = options.score[option]!;
    return {
      ...offer,
      ...(pool >= 0 && { host: this.#pools.hosts[host]!.name, instanceType: measuredType(request) }),
      ...(score !== offer.pricePerHour && { scorePerHour: score }),
    };
  }
}

/** Attributes of an offer that a rule's verdict reads. */
function readsOf(rule: CompiledRule): ReadonlySet<string> {
  return new Set([...(rule.gate?.offerAttributes ?? []), ...(rule.passes?.offerAttributes ?? [])]);
}

/** Whether a rule that reads no host in its expressions can yet tell two hosts of one pool apart. */
function namesHosts({ clause }: CompiledRule, estate: readonly EstateMachine[]): boolean {
  switch (clause.effect) {
    case 'budget':
    case 'quota':
    case 'spread':
      return clause.group.includes('host');
    case 'affinity':
    case 'antiAffinity':
      return clause.by === 'host' && estate.some((machine) => machine.host !== null);
    default:
      return false;
  }
}

function readsNames(rule: CompiledRule): boolean {
  const { clause } = rule;
  const texts = [
    rule.gateText,
    'expression' in clause ? clause.expression : null,
    clause.effect === 'gravity' ? clause.gibPerMonth : null,
    ...rule.exceptions.map((e) => e.matchText),
  ].filter((text) => text !== null);
  if (texts.some((text) => reads(EVALUATION.parse(text).ast).request.has('name'))) return true;
  if (clause.effect !== 'affinity' && clause.effect !== 'antiAffinity') return false;
  const to = reads(EVALUATION.parse(clause.to).ast);
  return to.request.has('name') || to.resource.has('name');
}

/** Rules whose verdict `requestPart` does not tell: they look at the request as a whole. */
function readsWholeRequest({ effect }: CompiledRule): boolean {
  return ['affinity', 'antiAffinity', 'labels', 'ttl', 'window'].includes(effect);
}

/** What offers of any size fit, so that sizes can be looked at one by one. */
const NO_SIZE = { vcpus: 1, memoryGiB: Number.MIN_VALUE, diskGiB: 0, gpuCount: 0, maxPricePerHour: 0 };
