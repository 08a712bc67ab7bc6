import type { Window } from './policy.ts';
import { nearest } from './problems.ts';

/**
 * When a rule has its say. A span is `<start>/<length>`, on the wall clock of the window's time zone:
 *
 *     Fri 18:00/60h           every week, from Friday 18:00 to Monday 06:00
 *     Mon-Fri 08:00/10h       every working day; `Mon,Wed 08:00/10h` on two days
 *     daily 02:00/4h          every day
 *     2026-12-24/3d           once, from midnight; `2026-12-24 18:00/3d` from 18:00
 *
 * A length has m, h or d. Both ends are wall-clock times, so a span over a change of the clocks lasts an hour more or
 * less, and ends when people expect. A time that the clocks jump over counts as that much later, and of a time that
 * they show twice the first counts.
 */
const SPAN = new RegExp(
  /^(?:(?<days>daily|DAY(?:-DAY)?(?:,DAY(?:-DAY)?)*) (?<at>\d\d:\d\d)|(?<date>\d{4}-\d\d-\d\d)(?: (?<time>\d\d:\d\d))?)\/(?<length>[1-9]\d{0,4})(?<unit>[mhd])$/.source.replaceAll(
    'DAY',
    '(?:Sun|Mon|Tue|Wed|Thu|Fri|Sat)',
  ),
);

/** The notation as a pattern, for the JSON Schema of the files. */
export const SPAN_PATTERN: RegExp = new RegExp(SPAN.source.replaceAll(/\?<\w+>/g, '?:'));

const WEEKDAYS = ['Sun', 'Mon', 'Tue', 'Wed', 'Thu', 'Fri', 'Sat'];
const MINUTE = 60_000;
const DAY = 24 * 60 * MINUTE;
const WEEK_MINUTES = 7 * 24 * 60;

/** A span after reading; wall-clock times are milliseconds since 1970 as if the zone were UTC. */
type Span =
  | { kind: 'weekly'; days: number[]; startMinute: number; length: number }
  | { kind: 'once'; start: number; length: number };

/** Reads one span, or says what is wrong with it. */
export function parseSpan(text: string): Span | string {
  const groups = SPAN.exec(text)?.groups;
  if (!groups)
    return `must be a span such as "Fri 18:00/60h", "Mon-Fri 08:00/10h", "daily 02:00/4h" or "2026-12-24/3d", is '${text}'`;
  const length =
    Number(groups.length) * { m: MINUTE, h: 60 * MINUTE, d: DAY }[groups.unit as 'm' | 'h' | 'd'];
  const clock = groups.at ?? groups.time ?? '00:00';
  const [hour, minute] = clock.split(':').map(Number) as [number, number];
  if (hour > 23 || minute > 59) return `has no time of day: '${clock}' is not 00:00 to 23:59`;
  const startMinute = hour * 60 + minute;
  if (groups.days !== undefined) {
    if (length > 7 * DAY) return `is longer than the week in which it comes again: '${text}'`;
    return { kind: 'weekly', days: weekdays(groups.days), startMinute, length };
  }
  const midnight = Date.parse(`${groups.date}T00:00:00Z`);
  if (Number.isNaN(midnight) || new Date(midnight).toISOString().slice(0, 10) !== groups.date)
    return `names a day that does not exist: ${groups.date}`;
  return { kind: 'once', start: midnight + startMinute * MINUTE, length };
}

function weekdays(text: string): number[] {
  if (text === 'daily') return [0, 1, 2, 3, 4, 5, 6];
  const days = new Set<number>();
  for (const part of text.split(',')) {
    const [from, ...to] = part.split('-').map((day) => WEEKDAYS.indexOf(day));
    const last = to.at(-1) ?? from!;
    for (let day = from!; ; day = (day + 1) % 7) {
      days.add(day);
      if (day === last) break;
    }
  }
  return [...days].sort();
}

/** What is wrong with a time zone's name, or null. */
export function timeZoneProblem(name: string): { message: string; suggestion?: string } | null {
  try {
    new Intl.DateTimeFormat('en', { timeZone: name });
    return null;
  } catch {
    const zones = Intl.supportedValuesOf('timeZone');
    const city = zones.find((zone) =>
      zone.toLowerCase().endsWith(`/${name.toLowerCase().replaceAll(' ', '_')}`),
    );
    const suggestion = city ?? nearest(name, zones);
    return {
      message: `must be a time zone such as Europe/Berlin or UTC, is '${name}'`,
      ...(suggestion !== undefined && { suggestion }),
    };
  }
}

/** Why a window makes no sense at any time, or null: it is never open, or always. The spans are sound. */
export function windowProblem(window: Window): string | null {
  const covered = weekCovered(window.spans.map((span) => parseSpan(span) as Span));
  if (!covered) return null;
  return window.kind === 'deny'
    ? 'is never open: its spans cover the whole week'
    : 'is always open: its spans cover the whole week';
}

/** Whether nothing of a window is left to come: all its spans are dates gone by. */
export function windowIsOver(window: Window, at: Date): boolean {
  return window.spans.every((span) => /^\d/.test(span)) && nextChange(window, at) === null;
}

function weekCovered(spans: readonly Span[]): boolean {
  const parts = spans
    .flatMap((span) => (span.kind === 'weekly' ? span.days.map((day) => ({ span, day })) : []))
    .flatMap(({ span, day }) => {
      const from = day * 24 * 60 + span.startMinute;
      const to = from + span.length / MINUTE;
      return to <= WEEK_MINUTES
        ? [[from, to]]
        : [
            [from, WEEK_MINUTES],
            [0, to - WEEK_MINUTES],
          ];
    })
    .sort((a, b) => a[0]! - b[0]!);
  let until = 0;
  for (const [from, to] of parts) {
    if (from! > until) return false;
    until = Math.max(until, to!);
  }
  return until >= WEEK_MINUTES;
}

const known = new WeakMap<Window, { from: number; until: number; open: boolean }>();

/**
 * Whether the window lets things happen at a time: inside one of the spans of `allow`, outside all of `deny`.
 * The answer is kept until it changes, so that asking is cheap.
 */
export function windowOpen(window: Window, at: Date): boolean {
  const ms = at.getTime();
  const last = known.get(window);
  if (last !== undefined && ms >= last.from && ms < last.until) return last.open;
  const calendar = new Calendar(window);
  const open = calendar.inside(ms) === (window.kind === 'allow');
  known.set(window, { from: ms, until: calendar.nextChange(ms) ?? Infinity, open });
  return open;
}

/** When the window next opens or closes after a time; null: never again. */
export function nextChange(window: Window, at: Date): Date | null {
  const next = new Calendar(window).nextChange(at.getTime());
  return next === null ? null : new Date(next);
}

/** Within so many days after any time, weekly spans have begun or ended, changes of the clocks included. */
const LOOK_AHEAD_DAYS = 16;

/** The spans of a window on the time line. */
class Calendar {
  readonly #zone: Zone;
  readonly #spans: Span[];

  constructor(window: Window) {
    this.#zone = zone(window.timeZone);
    this.#spans = window.spans.map((span) => parseSpan(span) as Span);
  }

  /** Whether a time is in a span; its start is, its end is not. */
  inside(ms: number): boolean {
    return this.#occurrences(ms, ms).some(([start, end]) => start <= ms && ms < end);
  }

  nextChange(ms: number): number | null {
    const dates = this.#occurrences(ms, Infinity, 'once').flat();
    const ends = [ms, ...dates.filter((time) => time > ms)];
    const weekly = ends.flatMap((end) =>
      this.#occurrences(end, end + LOOK_AHEAD_DAYS * DAY, 'weekly').flat(),
    );
    const now = this.inside(ms);
    const times = [...new Set([...dates, ...weekly])].filter((time) => time > ms).sort((a, b) => a - b);
    return times.find((time) => this.inside(time) !== now) ?? null;
  }

  /** Starts and ends of the spans that touch a stretch of time (and perhaps a few beside it). */
  #occurrences(from: number, to: number, only?: Span['kind']): [number, number][] {
    const found: [number, number][] = [];
    for (const span of this.#spans) {
      if (only !== undefined && span.kind !== only) continue;
      const starts = span.kind === 'once' ? [span.start] : weeklyStarts(span, from, to);
      for (const start of starts) {
        const begin = this.#zone.instant(start);
        const end = this.#zone.instant(start + span.length);
        if (begin <= to && end >= from) found.push([begin, end]);
      }
    }
    return found;
  }
}

function weeklyStarts(span: Span & { kind: 'weekly' }, from: number, to: number): number[] {
  const starts: number[] = [];
  // No zone is more than 14 hours from UTC, so that a day on both sides takes in every wall clock.
  const first = Math.floor((from - span.length) / DAY) - 1;
  const last = Math.ceil(to / DAY) + 1;
  for (let day = first; day <= last; day++)
    if (span.days.includes(new Date(day * DAY).getUTCDay()))
      starts.push(day * DAY + span.startMinute * MINUTE);
  return starts;
}

/** A time zone's wall clock. */
interface Zone {
  /** The time at which the wall clock shows `wall`. */
  instant(wall: number): number;
}

const zones = new Map<string, Zone>();

function zone(name: string): Zone {
  const found = zones.get(name);
  if (found !== undefined) return found;
  const format = new Intl.DateTimeFormat('en-US', {
    timeZone: name,
    calendar: 'iso8601',
    numberingSystem: 'latn',
    hourCycle: 'h23',
    year: 'numeric',
    month: '2-digit',
    day: '2-digit',
    hour: '2-digit',
    minute: '2-digit',
    second: '2-digit',
  });
  const wallAt = (ms: number): number => {
    const part: Record<string, number> = {};
    for (const { type, value } of format.formatToParts(ms)) part[type] = Number(value);
    return Date.UTC(part.year!, part.month! - 1, part.day!, part.hour!, part.minute!, part.second!);
  };
  const made: Zone = {
    instant(wall) {
      // The offsets a day before and after are those on both sides of a change of the clocks, if there is one.
      const before = wall - (wallAt(wall - DAY) - (wall - DAY));
      const after = wall - (wallAt(wall + DAY) - (wall + DAY));
      const shows = [before, after].filter((ms) => wallAt(ms) === wall);
      return shows.length > 0 ? Math.min(...shows) : before;
    },
  };
  zones.set(name, made);
  return made;
}
