/** What was meant by a value that a field cannot have: a number for a text of one, `30m` for `30 minutes`. */
import { HOURS_PER_MONTH } from '@landfall/policies/place/offers.ts';

/** Readings of a value, the likeliest first. Whether the field takes one is for the asker to see. */
export function readingsOf(value: unknown, limits: { minimum?: number; maximum?: number }): unknown[] {
  if (typeof value === 'number') return ofNumber(value, limits);
  if (typeof value === 'boolean') return [String(value), [value]];
  if (typeof value === 'string') return [...ofText(value), [value]];
  return Array.isArray(value) && value.length === 1 ? [value[0]] : [];
}

function ofNumber(
  value: number,
  { minimum = -Infinity, maximum = Infinity }: { minimum?: number; maximum?: number },
) {
  const nearest = Math.min(maximum, Math.max(minimum, value));
  const readings: unknown[] = [nearest, Math.max(minimum, Math.round(nearest))];
  // A share of 30 is one of 30%.
  if (value > 1 && value <= 100) readings.push(value / 100);
  return [
    ...readings,
    `${value}h`,
    `${value}d`,
    `${value} USD`,
    `${value} USD/h`,
    `${value} USD/month`,
    String(value),
    [value],
  ];
}

function ofText(text: string): unknown[] {
  return [
    ...(FLAGS.has(text.toLowerCase()) ? [FLAGS.get(text.toLowerCase())] : []),
    ...durationsIn(text),
    ...amountsIn(text),
    ...timesIn(text),
    ...numbersIn(text),
    ...namesIn(text),
  ];
}

const FLAGS = new Map([
  ...['true', 'yes', 'on'].map((word): [string, boolean] => [word, true]),
  ...['false', 'no', 'off'].map((word): [string, boolean] => [word, false]),
]);

/** Seconds that a unit of time has, by how it may begin. */
const UNITS: [RegExp, number][] = [
  [/^s(ec|econds?|ecs)?$/, 1],
  [/^m(in|ins|inutes?)?$/, 60],
  [/^h(r|rs|ours?)?$/, 3_600],
  [/^d(ays?)?$/, 86_400],
  [/^w(eeks?|k|ks)?$/, 604_800],
];

/** `30 minutes` is 30m, `1.5h` 90m, `2 weeks` and `P14D` 14d; of a number alone nobody knows the unit. */
function durationsIn(text: string): string[] {
  const [, figure, unit = ''] = /^P?T?(\d+(?:\.\d+)?)\s*([a-z]*)$/i.exec(text.trim()) ?? [];
  if (figure === undefined) return [];
  if (unit === '') return [`${figure}h`, `${figure}d`];
  const seconds = UNITS.find(([pattern]) => pattern.test(unit.toLowerCase()))?.[1];
  if (seconds === undefined) return [];
  return [inWholeUnits(Number(figure) * seconds)].filter((one) => one !== undefined);
}

function inWholeUnits(seconds: number): string | undefined {
  const units: [string, number][] = [
    ['d', 86_400],
    ['h', 3_600],
    ['m', 60],
    ['s', 1],
  ];
  // `36h` stays in hours: a unit is taken only where the number is whole in it.
  const found = units.find(([, length]) => seconds >= length && seconds % length === 0);
  return found && `${seconds / found[1]}${found[0]}`;
}

/** `$20`, `USD 20` and `20` are 20 USD, in the form of the field; other currencies are not converted. */
function amountsIn(text: string): unknown[] {
  const share = /^(\d+(?:\.\d+)?)\s*%$/.exec(text.trim());
  if (share !== null) return [Number(share[1]) / 100];
  const [, figure, per = ''] =
    /^(?:\$|USD\s*)?\s*(\d+(?:\.\d+)?)\s*(?:\$|USD)?\s*(?:(?:\/|per|an?)\s*([a-z]+))?$/i.exec(text.trim()) ??
    [];
  if (figure === undefined) return [];
  if (per === '') return [`${figure} USD`, `${figure} USD/h`, `${figure} USD/month`];
  if (/^h/i.test(per)) return [`${figure} USD/h`, `${figure} USD`];
  if (/^mo/i.test(per)) return [`${figure} USD/month`, `${figure} USD`];
  if (/^d/i.test(per)) return [`${Number(((Number(figure) / 24) * HOURS_PER_MONTH).toFixed(2))} USD/month`];
  return [];
}

/** `24.12.2026` and `2026-12-24 18:00` in the form of ISO 8601; of a day that no month has the last that it has. */
function timesIn(text: string): string[] {
  const [, day, month, year] = /^(\d{1,2})\.(\d{1,2})\.(\d{4})$/.exec(text.trim()) ?? [];
  const iso = day === undefined ? text.trim() : `${year}-${month!.padStart(2, '0')}-${day.padStart(2, '0')}`;
  const [, date, time] = /^(\d{4}-\d\d-\d\d)(?:[ T](\d\d:\d\d(?::\d\d)?))?Z?$/.exec(iso) ?? [];
  if (date === undefined) return [];
  const [y, m, d] = date.split('-').map(Number) as [number, number, number];
  const last = new Date(Date.UTC(y, m, 0)).getUTCDate();
  if (m < 1 || m > 12 || d < 1) return [];
  const real = `${date.slice(0, 8)}${String(Math.min(d, last)).padStart(2, '0')}`;
  return [time === undefined ? real : `${real}T${time}Z`];
}

/** `4 GiB` and `"4"` are 4. */
function numbersIn(text: string): number[] {
  const figure = /^(-?\d+(?:\.\d+)?)\s*[A-Za-z%]*$/.exec(text.trim())?.[1];
  return figure === undefined ? [] : [Number(figure), Math.round(Number(figure))];
}

/** `My Shop` is my-shop; whose policy it is, too, where that is asked. */
function namesIn(text: string): string[] {
  const plain = text
    .normalize('NFKD')
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, '-')
    .replace(/^-+|-+$/g, '')
    .slice(0, 63)
    .replace(/-+$/, '');
  const spaceless = text.trim().replace(/[^A-Za-z0-9]+/g, '_');
  return [
    plain,
    plain.replace(/^[0-9-]+/, ''),
    `projects/${plain}`,
    `organizations/${plain}`,
    spaceless,
  ].filter((name) => name !== '');
}
