import type { Clause, Domain, GroupKey, Window } from './policy.ts';
import { DOMAINS, dollars, dollarsPerHour, group, hours, LABEL_KEY } from './quantities.ts';
import {
  cel,
  choice,
  dictionary,
  type Entry,
  list,
  mapping,
  number,
  oneOrMore,
  optional,
  refined,
  required,
  type Shape,
  text,
  textOf,
} from './shape.ts';
import { parseSpan, SPAN_PATTERN, timeZoneProblem, windowIsOver, windowProblem } from './window.ts';

/** What a rule is grouped by when it does not say. */
const DEFAULT_GROUP: GroupKey[] = ['project', 'labels.app'];

/** Providers there are: no rule can spread over more. */
const PROVIDERS = 4;

/** Domains that lie within one of another kind: all machines of one site have one provider. */
const WITHIN: Record<Domain, readonly string[]> = {
  provider: ['provider', 'site'],
  site: ['site'],
  region: ['region'],
  zone: ['zone'],
  host: ['host'],
};

const domain = choice(DOMAINS);

const verdict = cel({ offer: true, resource: true, wanted: 'bool' });

const spread = refined(
  mapping({
    by: required(domain, 'What the machines are spread over.'),
    min: optional(number({ whole: true, min: 1, max: 1000 }), 'In so many of them at least; 1 when absent.'),
    maxShare: optional(
      number({ above: 0, max: 1 }),
      'At most this share of the machines in one of them, 0.6 = 60%; 1 when absent.',
    ),
    group: optional(group, 'Which machines are counted together; [project, labels.app] when absent.'),
  }),
  ({ by, min = 1, maxShare = 1, group: keys = DEFAULT_GROUP }, report): Clause | undefined => {
    if (min === 1 && maxShare === 1)
      return report('says nothing: give min (2 or more) or maxShare (below 1)', { code: 'rule-effect' });
    const inside = keys.find((key) => WITHIN[by].includes(key));
    if (inside !== undefined)
      return report(`cannot be met: all machines of a group share one ${inside}, so they stand in one ${by}`);
    if (by === 'provider' && min > PROVIDERS)
      return report(`cannot be met: there are ${PROVIDERS} providers, min is ${min}`);
    if (by === 'provider' && maxShare * PROVIDERS < 1)
      return report(
        `cannot be met: ${PROVIDERS} providers with ${maxShare} of the machines each do not hold all`,
      );
    return { effect: 'spread', by, min, maxShare, group: keys };
  },
);

const nearOthers = mapping({
  to: required(
    cel({ resource: true, wanted: 'bool' }),
    'CEL over request and resource: which existing machines are meant.',
  ),
  by: required(domain, 'Together in, or apart by, one of these.'),
});

const gravity = refined(
  mapping({
    at: required(
      textOf(
        /^((aws|azure|gcp)\/[a-z0-9-]+|site\/[a-z0-9-]+)$/,
        'must be where the data lies: aws/eu-central-1, azure/…, gcp/… or site/<name>',
      ),
      'Where the data lies: <provider>/<region> or site/<name>.',
    ),
    gibPerMonth: required(
      cel({ wanted: 'double' }),
      'GiB read from there in a month: a number, or CEL over the request.',
    ),
  }),
  ({ at, gibPerMonth }, report): Clause | undefined =>
    /^-|^0(\.0*)?$/.test(gibPerMonth)
      ? report(`needs gibPerMonth above 0`)
      : { effect: 'gravity', at, gibPerMonth },
);

const budget = refined(
  mapping({
    group: required(group, 'Whose spending counts together.'),
    per: required(choice(['hour', 'day', 'month']), 'An hour, a day (24 h) or a month (730 h).'),
    limit: required(dollars, 'The most it may come to, such as 20000 USD.'),
  }),
  (values): Clause => ({ effect: 'budget', ...values }),
);

const quota = refined(
  mapping({
    group: required(group, 'Whose machines count together.'),
    resource: required(choice(['instances', 'vcpu', 'memoryGiB', 'gpu', 'diskGiB']), 'What is counted.'),
    limit: required(number({ min: 0 }), 'How much there may be.'),
  }),
  (values): Clause => ({ effect: 'quota', ...values }),
);

const approval = refined(
  mapping({
    by: required(oneOrMore(text), 'Who may approve; any one of them is enough.'),
    expires: required(hours, 'A request not answered by then fails.'),
  }),
  ({ by, expires }): Clause => ({ effect: 'approval', by, expiresHours: expires }),
);

const ttl = refined(
  mapping({
    max: required(hours, 'The longest life allowed, such as 72h.'),
    default: optional(
      hours,
      'The life of a machine whose request names none; when absent, such a request is refused.',
    ),
  }),
  ({ max, default: given }, report): Clause | undefined =>
    given !== undefined && given > max
      ? report('has a default that is longer than its max')
      : { effect: 'ttl', maxHours: max, defaultHours: given ?? null },
);

const labelKey = textOf(LABEL_KEY, 'must be a label key: 1 to 63 letters, digits and -._/');

const labels = refined(
  mapping(
    {
      required: optional(oneOrMore(labelKey), 'Labels a request must have.'),
      allowed: optional(
        dictionary(list(text, { min: 1 }), { pattern: LABEL_KEY, what: 'a label key' }),
        'The values a label may have, where it is given.',
      ),
    },
    { schema: { minProperties: 1 } },
  ),
  ({ required: keys = [], allowed = {} }, report): Clause | undefined =>
    keys.length === 0 && Object.keys(allowed).length === 0
      ? report('needs required or allowed', { code: 'rule-effect' })
      : { effect: 'labels', required: keys, allowed },
);

const span = refined(
  text,
  (value, report) => {
    const parsed = parseSpan(value);
    return typeof parsed === 'string' ? report(parsed) : value;
  },
  { pattern: SPAN_PATTERN.source },
);

const timeZone = refined(text, (value, report) => {
  const problem = timeZoneProblem(value);
  return problem === null ? value : report(problem.message, problem);
});

const windowFields = mapping(
  {
    deny: optional(oneOrMore(span), 'When nothing may happen, such as "Fri 18:00/60h".'),
    allow: optional(oneOrMore(span), 'The only times when something may happen, such as "daily 02:00/4h".'),
    timeZone: optional(
      timeZone,
      'Whose wall clock the spans are read on, such as Europe/Berlin; UTC when absent.',
    ),
  },
  { schema: { oneOf: [{ required: ['deny'] }, { required: ['allow'] }] } },
);

const window: Shape<Clause> = {
  ...windowFields,
  read(field, path, reading) {
    const values = windowFields.read(field, path, reading);
    if (values === undefined) return undefined;
    const { deny, allow, timeZone = 'UTC' } = values;
    const say = (message: string, more: { severity?: 'warning' } = {}): undefined =>
      void reading.reader.report(field.value, path, 'wrong-value', `${path} ${message}`, more);
    if ((deny === undefined) === (allow === undefined)) return say('needs either deny or allow');
    const window: Window = { kind: deny ? 'deny' : 'allow', spans: (deny ?? allow)!, timeZone };
    const problem = windowProblem(window);
    if (problem !== null) return say(problem);
    // A policy in force must not turn into an error by itself when a date goes by.
    if (windowIsOver(window, reading.now))
      say(deny ? 'is over: its dates are past' : 'never opens again: its dates are past', {
        severity: 'warning',
      });
    return { effect: 'window', window };
  },
};

/** Every clause a rule may have but `prefer`, which needs `weight` beside it. */
export const CLAUSES: Record<string, Entry<Clause, false>> = {
  require: optional(
    refined(verdict, (expression): Clause => ({ effect: 'require', expression })),
    'CEL over request and offer (or resource, for running machines): what must be true.',
  ),
  deny: optional(
    refined(verdict, (expression): Clause => ({ effect: 'deny', expression })),
    'CEL over request and offer (or resource, for running machines): what must not be true.',
  ),
  spread: optional(spread, 'Machines of a group stand in several zones, regions, sites, hosts or providers.'),
  affinity: optional(
    refined(nearOthers, (values): Clause => ({ effect: 'affinity', ...values })),
    'Together with existing machines: in their zone, their region or the like.',
  ),
  antiAffinity: optional(
    refined(nearOthers, (values): Clause => ({ effect: 'antiAffinity', ...values })),
    'Apart from existing machines: in another zone, on another host or the like.',
  ),
  gravity: optional(gravity, 'Data lies there: what it costs to read it from elsewhere counts as a price.'),
  maxPrice: optional(
    refined(dollarsPerHour, (perHour): Clause => ({ effect: 'maxPrice', perHour })),
    'A hard cap for one machine, such as 0.5 USD/h.',
  ),
  budget: optional(budget, 'What the machines of a group may cost together.'),
  quota: optional(quota, 'How much a group may have.'),
  approval: optional(approval, 'Somebody must approve first.'),
  ttl: optional(ttl, 'The longest life of a machine.'),
  labels: optional(labels, 'Labels a request must have, and their values.'),
  window: optional(window, 'When machines may be made.'),
};
