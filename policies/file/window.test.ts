import type { Window } from './policy.ts';
import { nextChange, parseSpan, timeZoneProblem, windowOpen, windowProblem } from './window.ts';

const deny = (timeZone: string, ...spans: string[]): Window => ({ kind: 'deny', spans, timeZone });
const allow = (timeZone: string, ...spans: string[]): Window => ({ kind: 'allow', spans, timeZone });

/** When a window opens and closes in a stretch of time: `+` opens, `-` closes. */
function changes(window: Window, from: string, to: string): string[] {
  const found: string[] = [];
  for (
    let at = nextChange(window, new Date(from));
    at !== null && at < new Date(to);
    at = nextChange(window, at)
  )
    found.push(`${windowOpen(window, at) ? '+' : '-'}${at.toISOString().slice(0, 16)}`);
  return found;
}

test('a weekend freeze ends on Monday morning by the clock on the wall, also when the clocks change', () => {
  const freeze = deny('Europe/Berlin', 'Fri 18:00/60h');
  expect(changes(freeze, '2026-03-18T00:00Z', '2026-04-01T00:00Z')).toEqual([
    '-2026-03-20T17:00',
    '+2026-03-23T05:00',
    '-2026-03-27T17:00',
    '+2026-03-30T04:00',
  ]);
  expect(changes(freeze, '2026-10-21T00:00Z', '2026-10-28T00:00Z')).toEqual([
    '-2026-10-23T16:00',
    '+2026-10-26T05:00',
  ]);
});

test('the start of a span is in it, its end is not', () => {
  const nightly = allow('UTC', 'daily 02:00/4h');
  for (const [time, open] of [
    ['2026-06-01T01:59:59.999Z', false],
    ['2026-06-01T02:00:00Z', true],
    ['2026-06-01T05:59:59.999Z', true],
    ['2026-06-01T06:00:00Z', false],
  ] as const)
    expect([time, windowOpen(nightly, new Date(time))]).toEqual([time, open]);
});

test('an hour that the clocks jump over is no hour, and one they show twice lasts two', () => {
  const early = allow('America/New_York', 'Sun 02:00/1h');
  expect(changes(early, '2026-03-02T00:00Z', '2026-03-20T00:00Z')).toEqual([
    '+2026-03-15T06:00',
    '-2026-03-15T07:00',
  ]);
  const twice = allow('America/New_York', 'Sun 01:00/1h');
  expect(changes(twice, '2026-10-30T00:00Z', '2026-11-03T00:00Z')).toEqual([
    '+2026-11-01T05:00',
    '-2026-11-01T07:00',
  ]);
});

test('days are names, lists and ranges, over the end of the week too', () => {
  expect(changes(allow('UTC', 'Sat-Mon,Wed 10:00/1h'), '2026-11-16T00:00Z', '2026-11-23T00:00Z')).toEqual([
    '+2026-11-16T10:00',
    '-2026-11-16T11:00',
    '+2026-11-18T10:00',
    '-2026-11-18T11:00',
    '+2026-11-21T10:00',
    '-2026-11-21T11:00',
    '+2026-11-22T10:00',
    '-2026-11-22T11:00',
  ]);
});

test('a date is once; afterwards nothing changes any more', () => {
  const holidays = deny('Asia/Tokyo', '2026-12-29/6d', '2027-01-03 12:00/90m');
  expect(changes(holidays, '2026-12-01T00:00Z', '2030-01-01T00:00Z')).toEqual([
    '-2026-12-28T15:00',
    '+2027-01-03T15:00',
  ]);
  expect(nextChange(holidays, new Date('2027-02-01'))).toBeNull();
});

test('overlapping spans are one, however long', () => {
  const mostly = deny('UTC', 'Mon-Fri 00:00/24h', 'Sat 00:00/47h', '2026-11-22 20:00/1d');
  expect(changes(mostly, '2026-11-14T00:00Z', '2026-12-01T00:00Z')).toEqual([
    '+2026-11-15T23:00',
    '-2026-11-16T00:00',
    '+2026-11-29T23:00',
    '-2026-11-30T00:00',
  ]);
});

test('agrees with the clock on the wall at every half hour of a year, in zones of all kinds', () => {
  for (const timeZone of [
    'Europe/Berlin',
    'America/St_Johns',
    'Australia/Lord_Howe',
    'Pacific/Apia',
    'Asia/Kathmandu',
  ]) {
    const window = deny(timeZone, 'Fri 18:00/60h');
    const clock = new Intl.DateTimeFormat('en-GB', {
      timeZone,
      weekday: 'short',
      hour: '2-digit',
      minute: '2-digit',
    });
    for (let at = Date.UTC(2026, 0, 1); at < Date.UTC(2027, 0, 1); at += 1_800_000) {
      const part = Object.fromEntries(clock.formatToParts(at).map(({ type, value }) => [type, value]));
      const time = `${part.hour}:${part.minute}`;
      const closed =
        part.weekday === 'Sat' ||
        part.weekday === 'Sun' ||
        (part.weekday === 'Fri' && time >= '18:00') ||
        (part.weekday === 'Mon' && time < '06:00');
      if (windowOpen(window, new Date(at)) === closed)
        throw new Error(`${timeZone} ${new Date(at).toISOString()} ${part.weekday} ${time}`);
    }
  }
});

test('a window that is never or always open is found out, another is not', () => {
  expect(windowProblem(deny('UTC', 'daily 01:00/24h'))).toContain('never open');
  expect(windowProblem(allow('UTC', 'Wed 12:00/7d'))).toContain('always open');
  expect(windowProblem(deny('UTC', 'Mon-Fri 00:00/24h', 'Sat 00:00/2879m'))).toBeNull();
});

test('what is no span is answered with what one looks like', () => {
  for (const text of [
    '',
    'Fri 18:00',
    'fri 18:00/1h',
    'Fri 18:00/0h',
    'Fri 8:00/1h',
    'Fri 18:00/1w',
    'Fri-Sat-Sun 08:00/1h',
  ])
    expect(parseSpan(text)).toContain('"Fri 18:00/60h"');
});

test('a time zone is known by its name or its city', () => {
  expect(timeZoneProblem('UTC')).toBeNull();
  expect(timeZoneProblem('Europe/Berln')).toMatchObject({ suggestion: 'Europe/Berlin' });
  expect(timeZoneProblem('new york')).toMatchObject({ suggestion: 'America/New_York' });
});
