import { durationMs } from '@landfall/model';
import { HOURS_PER_MONTH } from '../place/offers.ts';
import type { Domain, GroupKey, Weight } from './policy.ts';
import { nearest } from './problems.ts';
import { oneOrMore, refined, type Shape, text } from './shape.ts';

/** Wide to narrow. */
export const DOMAINS = ['provider', 'site', 'region', 'zone', 'host'] as const satisfies Domain[];

const GROUP_KEYS = [
  'organization',
  'project',
  ...DOMAINS,
  'instanceType',
  'market',
  'architecture',
  'gpuName',
] as const;

/** A label's key, as the API takes it. */
export const LABEL_KEY = /^[A-Za-z0-9]([-._/A-Za-z0-9]{0,61}[A-Za-z0-9])?$/;

const DURATION = /^[1-9][0-9]{0,5}(s|m|h|d)$/;

/** Hours, written as a duration such as `72h`. */
export const hours: Shape<number> = refined(
  text,
  (value, report) => {
    const ms = durationMs(value);
    return Number.isNaN(ms)
      ? report(`must be a duration such as 30m, 72h or 7d, is '${value}'`)
      : ms / 3_600_000;
  },
  { pattern: DURATION.source },
);

const MONEY = /^(-?[0-9]+(?:\.[0-9]+)?)\s*([A-Za-z$€£]+)?(?:\s*\/\s*([a-z]+))?$/;

/** USD, written as `20000 USD`. */
export const dollars: Shape<number> = refined(
  amountText('20000 USD'),
  (value, report) => amount(value, 'none', '20000 USD', report),
  { pattern: '^[0-9]+(\\.[0-9]+)?\\s*USD$' },
);

/** USD per hour, written as `0.5 USD/h` or `300 USD/month`. */
export const dollarsPerHour: Shape<number> = refined(
  amountText('0.5 USD/h'),
  (value, report) => amount(value, 'rate', '0.5 USD/h', report),
  { pattern: '^[0-9]+(\\.[0-9]+)?\\s*USD\\s*/\\s*(h|hour|month)$' },
);

/** What meeting a preference is worth. */
export const weight: Shape<Weight> = {
  schema: {
    anyOf: [
      { type: 'number', exclusiveMinimum: 0, maximum: 10 },
      { const: 'strict' },
      { type: 'string', pattern: dollarsPerHour.schema.pattern },
    ],
  },
  read(field, path, reading) {
    const value = reading.reader.plain(field.value, path);
    if (typeof value === 'string' && value !== 'strict' && MONEY.test(value)) {
      const perHour = dollarsPerHour.read(field, path, reading);
      return perHour === undefined ? undefined : { kind: 'money', perHour };
    }
    if (value === 'strict') return { kind: 'strict' };
    if (typeof value === 'number' && value > 0 && value <= 10) return { kind: 'share', share: value };
    reading.reader.report(
      field.value ?? field.key,
      path,
      'wrong-value',
      `${path} must be a share of the price above 0 and at most 10 (0.03 = 3%), money such as "0.01 USD/h", or strict; is ${JSON.stringify(value)}`,
    );
    return undefined;
  },
};

/** A number alone is a common slip; the answer names what is missing instead of calling it "no text". */
function amountText(example: string): Shape<string> {
  return {
    schema: { type: 'string' },
    read(field, path, { reader }) {
      const value = reader.plain(field.value, path);
      if (typeof value === 'string') return value;
      const unit = example.replace(/^\S+/, '');
      const more = Number.isFinite(value) ? { suggestion: `${value}${unit}` } : {};
      const given = typeof value === 'number' ? value : JSON.stringify(value);
      const message = `${path} must be an amount such as "${example}", is ${given}`;
      reader.report(field.value ?? field.key, path, 'wrong-type', message, more);
      return undefined;
    },
  };
}

function amount(
  value: string,
  kind: 'none' | 'rate',
  example: string,
  report: (message: string, more?: { suggestion?: string }) => undefined,
): number | undefined {
  const [, figure, currency, per] = MONEY.exec(value.trim()) ?? [];
  const wanted = `must be an amount such as "${example}", is '${value}'`;
  if (figure === undefined || currency === undefined) return report(wanted);
  if (currency !== 'USD') return report(`must be in USD: prices are, and ${currency} is not converted`);
  if (!(Number(figure) > 0)) return report(`must be more than 0, is '${value}'`);
  if ((per === undefined) !== (kind === 'none')) return report(wanted);
  if (per === undefined || per === 'h' || per === 'hour') return Number(figure);
  return per === 'month' ? Number(figure) / HOURS_PER_MONTH : report(`${wanted}: the time is h or month`);
}

const groupKey: Shape<GroupKey> = refined(
  text,
  (value, report) => {
    const label = value.startsWith('labels.') ? value.slice('labels.'.length) : undefined;
    const known =
      label === undefined ? (GROUP_KEYS as readonly string[]).includes(value) : LABEL_KEY.test(label);
    if (known) return value as GroupKey;
    const meant = /^labels?[./:](.+)$/.exec(value)?.[1];
    const suggestion = meant === undefined ? nearest(value, GROUP_KEYS) : `labels.${meant}`;
    return report(`must be one of ${GROUP_KEYS.join(', ')} or labels.<key>, is '${value}'`, {
      ...(suggestion !== undefined && { suggestion }),
    });
  },
  { anyOf: [{ enum: GROUP_KEYS }, { pattern: '^labels\\.[A-Za-z0-9]' }] },
);

/** What machines are counted by: one key, or several together. */
export const group: Shape<GroupKey[]> = refined(oneOrMore(groupKey), (keys, report) =>
  new Set(keys).size === keys.length ? keys : report('names a key twice'),
);
