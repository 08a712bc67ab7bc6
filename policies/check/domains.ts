/**
 * What a value can still be, as known from conditions on it. A domain may hold more than is possible, never less:
 * an empty one proves that no value meets the conditions.
 */
export type Domain = NumberDomain | TextDomain | TruthDomain;

/** Numbers from `lo` to `hi`. Ends are part of it unless `loOpen`, `hiOpen`. */
export interface NumberDomain {
  kind: 'number';
  int: boolean;
  lo: number;
  loOpen: boolean;
  hi: number;
  hiOpen: boolean;
  /** Values it is not. */
  not: readonly number[];
}

/** Texts: of a known set, or any but some; and what else is known of them. */
export interface TextDomain {
  kind: 'text';
  only: ReadonlySet<string> | null;
  not: ReadonlySet<string>;
  tests: readonly TextTest[];
}

/** A function of a text that says yes or no, such as startsWith("eu-"). */
export interface TextTest {
  /** Equal for equal tests. */
  key: string;
  holds: (text: string) => boolean;
  wanted: boolean;
  /** What the text starts or ends with where the test holds. */
  prefix?: string;
  suffix?: string;
}

/** CEL's three values as bits. */
export const TRUTH = { true: 1, false: 2, error: 4 } as const;

/** Which of the three values a condition may have: bits of {@link TRUTH}. */
export interface TruthDomain {
  kind: 'truth';
  may: number;
}

/** All numbers from one to another, both included unless said otherwise. */
export function numbers(
  int: boolean,
  range: { lo?: number; hi?: number; loOpen?: boolean; hiOpen?: boolean; not?: number[] } = {},
): NumberDomain {
  const { lo = -Infinity, hi = Infinity, loOpen = false, hiOpen = false, not = [] } = range;
  return { kind: 'number', int, lo, loOpen, hi, hiOpen, not };
}

/** Some texts, or all but some. */
export function texts(known: {
  only?: Iterable<string>;
  not?: Iterable<string>;
  tests?: TextTest[];
}): TextDomain {
  return {
    kind: 'text',
    only: known.only === undefined ? null : new Set(known.only),
    not: new Set(known.not ?? []),
    tests: known.tests ?? [],
  };
}

/** What is in both domains, or null when nothing is. Both are of one kind. */
export function intersect(a: Domain, b: Domain): Domain | null {
  if (a.kind === 'number' && b.kind === 'number') return intersectNumbers(a, b);
  if (a.kind === 'text' && b.kind === 'text') return intersectTexts(a, b);
  if (a.kind === 'truth' && b.kind === 'truth') {
    const may = a.may & b.may;
    return may === 0 ? null : { kind: 'truth', may };
  }
  // Two readings of one term: nothing is concluded from them together.
  return a;
}

function intersectNumbers(a: NumberDomain, b: NumberDomain): NumberDomain | null {
  const low = a.lo > b.lo || (a.lo === b.lo && a.loOpen) ? a : b;
  const high = a.hi < b.hi || (a.hi === b.hi && a.hiOpen) ? a : b;
  const not = a.not.length === 0 ? b.not : b.not.length === 0 ? a.not : [...new Set([...a.not, ...b.not])];
  const int = a.int || b.int;
  return tightened({
    kind: 'number',
    int,
    lo: low.lo,
    loOpen: low.loOpen,
    hi: high.hi,
    hiOpen: high.hiOpen,
    not,
  });
}

/** Ends of ints become ints, excluded ends are left out; null when nothing remains. */
function tightened(d: NumberDomain): NumberDomain | null {
  let { lo, loOpen, hi, hiOpen } = d;
  if (d.int) {
    if (Number.isFinite(lo)) lo = loOpen ? Math.floor(lo) + 1 : Math.ceil(lo);
    if (Number.isFinite(hi)) hi = hiOpen ? Math.ceil(hi) - 1 : Math.floor(hi);
    loOpen = false;
    hiOpen = false;
    while (lo <= hi && d.not.includes(lo)) lo++;
    while (lo <= hi && d.not.includes(hi)) hi--;
  }
  if (lo > hi || (lo === hi && (loOpen || hiOpen || d.not.includes(lo)))) return null;
  return { ...d, lo, loOpen, hi, hiOpen };
}

function intersectTexts(a: TextDomain, b: TextDomain): TextDomain | null {
  const tests = [
    ...a.tests,
    ...b.tests.filter((t) => !a.tests.some((u) => u.key === t.key && u.wanted === t.wanted)),
  ];
  if (tests.some((t) => tests.some((u) => u.key === t.key && u.wanted !== t.wanted))) return null;
  if (apart(tests)) return null;
  const not = a.not.size === 0 ? b.not : b.not.size === 0 ? a.not : new Set([...a.not, ...b.not]);
  const from =
    a.only === null ? b.only : b.only === null ? a.only : a.only.size < b.only.size ? a.only : b.only;
  if (from === null) return { kind: 'text', only: null, not, tests };
  const only = new Set(
    [...from].filter(
      (text) =>
        (a.only?.has(text) ?? true) &&
        (b.only?.has(text) ?? true) &&
        !not.has(text) &&
        tests.every((t) => t.holds(text) === t.wanted),
    ),
  );
  return only.size === 0 ? null : { kind: 'text', only, not: NONE, tests: [] };
}

const NONE: ReadonlySet<string> = new Set();

/** Two beginnings, or two ends, that no text can have both; or a beginning that a test says it does not have. */
function apart(tests: readonly TextTest[]): boolean {
  const wanted = tests.filter((t) => t.wanted);
  return wanted.some(
    (t) =>
      wanted.some(
        (u) =>
          (t.prefix !== undefined && u.prefix !== undefined && !oneBeginsOther(t.prefix, u.prefix)) ||
          (t.suffix !== undefined &&
            u.suffix !== undefined &&
            !(t.suffix.endsWith(u.suffix) || u.suffix.endsWith(t.suffix))),
      ) ||
      tests.some(
        (u) =>
          !u.wanted &&
          ((t.prefix !== undefined && u.prefix !== undefined && t.prefix.startsWith(u.prefix)) ||
            (t.suffix !== undefined && u.suffix !== undefined && t.suffix.endsWith(u.suffix))),
      ),
  );
}

function oneBeginsOther(a: string, b: string): boolean {
  return a.startsWith(b) || b.startsWith(a);
}
