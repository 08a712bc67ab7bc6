/** Every code that a problem can have; docs/policies.md says what they are. */
export const PROBLEM_CODES = [
  // Of a file, and of its YAML.
  'yaml-syntax',
  'yaml-aliases',
  'yaml-warning',
  'file-too-large',
  'no-policy',
  'too-many',
  // Of fields and their values.
  'missing-field',
  'unknown-field',
  'wrong-type',
  'wrong-value',
  'unknown-name',
  'no-rules',
  'rule-effect',
  'duplicate-policy',
  'duplicate-rule',
  'expired-exception',
  // Of expressions.
  'cel-syntax',
  'cel-type',
  'cel-pattern',
  'cel-not-allowed',
  'cel-too-long',
  'cel-too-costly',
  'unknown-attribute',
  'variable-cycle',
  'slow-expression',
  // Of rules thought through.
  'never-holds',
  'never-applies',
  'always-holds',
  'redundant-rule',
  'contradiction',
  'override',
  'unknown-value',
  'wide-spread',
] as const;

export type ProblemCode = (typeof PROBLEM_CODES)[number];

/** One thing wrong with a policy file, placed so that an editor can underline it. */
export interface Problem {
  /** Stable, for tools. */
  code: ProblemCode;
  message: string;
  file: string;
  /** From 1. */
  line: number;
  /** From 1, in UTF-16 units as editors count. */
  column: number;
  /** Where in the document, such as `spec.rules[2].require`; `''` = the file. */
  path: string;
  /** What to write instead. */
  suggestion?: string;
  severity: 'error' | 'warning';
}

/** Policies that cannot be compiled, with every reason. */
export class PolicyProblems extends Error {
  readonly problems: readonly Problem[];
  constructor(problems: readonly Problem[]) {
    super(problems.map(formatProblem).join('\n'));
    this.name = 'PolicyProblems';
    this.problems = problems;
  }
}

/** `file:line:column: message`, the form compilers print and editors parse. */
export function formatProblem(problem: Problem): string {
  const hint = problem.suggestion === undefined ? '' : ` (did you mean ${problem.suggestion}?)`;
  return `${problem.file}:${problem.line}:${problem.column}: ${problem.severity}: ${problem.message}${hint} [${problem.code}]`;
}

/**
 * The known name nearest to a misspelt one, if it is near enough to be meant: the same but for case and separators, a
 * few slips away, or the shortest that it is the beginning of.
 */
export function nearest(name: string, known: Iterable<string>): string | undefined {
  const plain = name.toLowerCase();
  // Codes of two letters are all near each other.
  const slips = plain.length <= 2 ? 0 : Math.max(1, Math.floor(plain.length / 3));
  let best: string | undefined;
  let bestDistance = slips + 1;
  let longer: string | undefined;
  const target = squeezed(plain);
  for (const candidate of known) {
    const lower = candidate.toLowerCase();
    const difference = Math.abs(lower.length - plain.length);
    const same = difference <= MOST_SEPARATORS && squeezed(lower) === target;
    const distance = same ? 0 : difference < bestDistance ? editDistance(plain, lower) : Infinity;
    if (distance < bestDistance) {
      best = candidate;
      bestDistance = distance;
    }
    const begins = plain.length >= 3 && lower.startsWith(plain);
    if (begins && (longer === undefined || candidate.length < longer.length)) longer = candidate;
  }
  return best ?? longer;
}

/** `max_price_per_hour` has so many that `maxPricePerHour` has not. */
const MOST_SEPARATORS = 4;

function squeezed(name: string): string {
  return name.replace(/[-_. ]/g, '');
}

/** Optimal string alignment: edits and swaps of neighbours each cost one. */
function editDistance(a: string, b: string): number {
  if (Math.abs(a.length - b.length) > 8) return 9;
  let before: number[] = [];
  let previous = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const cost = a[i - 1] === b[j - 1] ? 0 : 1;
      let d = Math.min(previous[j]! + 1, row[j - 1]! + 1, previous[j - 1]! + cost);
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1])
        d = Math.min(d, before[j - 2]! + 1);
      row.push(d);
    }
    before = previous;
    previous = row;
  }
  return previous[b.length]!;
}
