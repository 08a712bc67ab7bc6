import type {
  Clause,
  Domain,
  Exception,
  GroupKey,
  ParsedPolicy,
  ParsedRule,
  Weight,
} from '../file/policy.ts';
import type { EstateMachine, SetAside } from '../place/types.ts';
import { policy } from './policies.ts';
import type { RandomCases } from './random-cases.ts';

/** The time of all random decisions: some exceptions and windows are over by then. */
export const NOW = new Date('2026-05-10T12:00:00Z');

/** A window over one day or another; open at {@link NOW} or not, as `open` says. */
const WINDOWS: { clause: Clause; open: boolean }[] = [
  { kind: 'deny' as const, date: '2026-05-10', open: false },
  { kind: 'deny' as const, date: '2026-05-11', open: true },
  { kind: 'allow' as const, date: '2026-05-10', open: true },
  { kind: 'allow' as const, date: '2026-05-11', open: false },
].map(({ kind, date, open }) => ({
  clause: { effect: 'window', window: { kind, spans: [`${date}/1d`], timeZone: 'UTC' } },
  open,
}));

/** Whether a window made here is open at {@link NOW}: known from its making, not computed. */
export function openNow(clause: Clause): boolean {
  return WINDOWS.find((w) => w.clause === clause)!.open;
}

/** Policies of every kind of clause. */
export function randomPolicies(random: RandomCases): ParsedPolicy[] {
  return Array.from({ length: Math.floor(random.next() * 3) }, (_, p) => {
    const rules = Array.from({ length: 1 + Math.floor(random.next() * 3) }, () => randomRule(random));
    const named = rules.map((rule, r) => ({ ...rule, name: `rule-${r}` }));
    return policy(`p${p}`, named, {
      mode: random.pick(['enforce', 'enforce', 'enforce', 'audit', 'dryRun'] as const),
      match: random.chance(0.3)
        ? random.pick(['request.labels.env == "prod"', 'request.count > 2', 'true'])
        : null,
      exceptions: random.chance(0.2) ? [randomException(random)] : [],
      scope: random.chance(0.7)
        ? { kind: 'organization', name: 'default' }
        : { kind: 'project', name: random.pick(['shop', 'lab']) },
    });
  });
}

/** A rule of one or two clauses. */
export function randomRule(random: RandomCases): Partial<ParsedRule> & Pick<ParsedRule, 'clauses'> {
  const clauses = [randomClause(random), ...(random.chance(0.15) ? [randomClause(random)] : [])];
  return {
    when: random.chance(0.4) ? random.expression(1) : null,
    clauses,
    missing: random.chance(0.3) ? 'pass' : 'reject',
    overridable: random.chance(0.4),
    override: random.chance(0.2),
  };
}

function randomException(random: RandomCases): Exception {
  return {
    rule: random.pick(['rule-0', 'rule-1']),
    line: 1,
    owner: 'kim',
    reason: 'because',
    expires: random.pick(['2026-05-10T12:00:00Z', '2026-05-10T12:00:01Z', '2027-01-01T00:00:00Z']),
    match: random.chance(0.5) ? random.pick(['request.labels.env == "prod"', 'request.vcpus < 4']) : null,
  };
}

function randomClause(random: RandomCases): Clause {
  const by = (): Domain => random.pick(['provider', 'site', 'region', 'zone', 'host'] as const);
  const group = (): GroupKey[] =>
    random.pick<GroupKey[]>([
      ['project'],
      ['project', 'labels.env'],
      ['organization', 'region'],
      ['provider', 'zone'],
      ['gpuName', 'labels.env'],
    ]);
  const to = (): string =>
    random.pick([
      'resource.labels.env == request.labels.env',
      'resource.project == "shop" && resource.vcpus > 1',
      'resource.zone.endsWith("-a")',
      'resource.ageHours > 100.0',
    ]);
  const weight = (): Weight =>
    random.pick<Weight>([
      { kind: 'strict' },
      { kind: 'share', share: random.pick([0.1, 0.5, 2]) },
      { kind: 'money', perHour: random.pick([0.01, 0.05]) },
    ]);
  return random.pick<() => Clause>([
    () => ({ effect: 'require', expression: random.expression(2) }),
    () => ({ effect: 'require', expression: random.expression(2) }),
    () => ({ effect: 'deny', expression: random.expression(2) }),
    () => ({ effect: 'prefer', expression: random.expression(1), weight: weight() }),
    () => ({ effect: 'prefer', expression: random.expression(1), weight: weight() }),
    () => ({ effect: 'prefer', expression: 'offer.burstable', weight: weight() }),
    () => ({ effect: 'prefer', expression: 'offer.provider == "gcp"', weight: weight() }),
    () => ({
      effect: 'spread',
      by: by(),
      min: random.pick([1, 2, 3]),
      maxShare: random.pick([0.34, 0.5, 1]),
      group: group(),
    }),
    () => ({ effect: random.pick(['affinity', 'antiAffinity'] as const), to: to(), by: by() }),
    () => ({
      effect: 'gravity',
      at: random.pick(['aws/eu-central-1', 'gcp/us-east1', 'site/cellar', 'site/aws-1', 'site/gone']),
      gibPerMonth: random.pick(['500.0', 'request.diskGiB * 10.0', 'request.memoryGiB / 0.0', '-5.0']),
    }),
    () => ({
      effect: 'budget',
      group: group(),
      per: random.pick(['hour', 'day', 'month'] as const),
      limit: random.pick([0.1, 0.35, 10, 400]),
    }),
    () => ({
      effect: 'quota',
      group: group(),
      resource: random.pick(['instances', 'vcpu', 'memoryGiB', 'gpu', 'diskGiB'] as const),
      limit: random.pick([0, 2, 8, 20, 100]),
    }),
    () => ({ effect: 'maxPrice', perHour: random.pick([0.02, 0.1, 1]) }),
    () => ({ effect: 'approval', by: ['finops'], expiresHours: 24 }),
    () => ({
      effect: 'ttl',
      maxHours: random.pick([24, 72]),
      defaultHours: random.pick([null, 12, 24]),
    }),
    () => ({ effect: 'labels', required: random.pick([[], ['env']]), allowed: { env: ['prod', 'lab'] } }),
    () => random.pick(WINDOWS).clause,
  ])();
}

/** Machines that exist, few of them at a place that is not known. */
export function randomEstate(random: RandomCases): EstateMachine[] {
  const rows = random.rows(Math.floor(random.next() * 12));
  return rows.map((row, i) => {
    const cellar = random.chance(0.3);
    return {
      id: `i-${i}`,
      name: random.pick(['web', 'db', `vm-${i}`]),
      project: random.pick(['shop', 'lab']),
      organization: 'default',
      labels: (random.chance(0.7) ? { env: random.pick(['prod', 'test']) } : {}) as Record<string, string>,
      state: 'Running',
      site: cellar ? 'cellar' : random.pick([`${row.provider}-1`, 'aws-2']),
      provider: cellar ? 'onprem' : row.provider,
      region: cellar ? 'cellar' : row.region,
      zone: cellar ? random.pick(['rack-1', 'rack-2']) : row.zone,
      host: cellar ? random.pick(['h1', 'h2', 'h3']) : null,
      instanceType: row.instanceType,
      market: row.market,
      architecture: row.architecture,
      gpuName: row.gpuName,
      gpuCount: row.gpuCount,
      vcpus: row.vcpus,
      memoryGiB: row.memoryGiB,
      diskGiB: random.pick([0, 10, 50]),
      pricePerHour: row.pricePerHour,
      publicAddress: false,
      createdAt: random.pick(['2026-05-10T00:00:00Z', '2026-01-01T00:00:00Z']),
    };
  });
}

/** Now and then something that was refused for capacity. */
export function randomSetAsides(random: RandomCases): SetAside[] {
  if (!random.chance(0.3)) return [];
  return [
    {
      site: random.pick(['aws-1', 'gcp-1', 'cellar']),
      region: random.pick(['eu-central-1', 'us-east1', 'cellar']),
      zone: null,
      host: random.pick([null, 'h1']),
      instanceType: random.pick([null, 'm5.large']),
      market: null,
      reason: 'no capacity',
    },
  ];
}
