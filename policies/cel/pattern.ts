/** Longest pattern, in characters. */
const MAX_LENGTH = 500;

/** Repetitions without a bound in one pattern: on a text of n characters they can take n to this power. */
const MAX_UNBOUNDED = 5;

/**
 * What is wrong with a pattern given to matches(), or null. CEL's patterns are RE2's: no backreferences and
 * no lookaround. The interpreter runs them on JavaScript's backtracking engine, so what could take
 * exponential time there is refused too.
 */
export function patternProblem(pattern: string): string | null {
  if (pattern.length > MAX_LENGTH) return `the pattern is longer than ${MAX_LENGTH} characters`;
  try {
    new RegExp(pattern);
  } catch (error) {
    return `not a valid pattern: ${(error as Error).message.replace(/^Invalid regular expression: /, '')}`;
  }
  if (/\\[1-9]|\\k</.test(pattern.replace(/\\\\/g, '')))
    return 'backreferences are not part of CEL patterns (RE2)';
  if (/\(\?(<?[=!])/.test(pattern)) return 'lookahead and lookbehind are not part of CEL patterns (RE2)';
  return exponential(pattern);
}

/** What is known of a group while the walk is inside it. */
interface Group {
  repeats: boolean;
  /** First characters of its alternatives; a second equal one, or one that is not a plain letter, is doubtful. */
  firsts: string[];
}

function exponential(pattern: string): string | null {
  const groups: Group[] = [{ repeats: false, firsts: [pattern[0] ?? ''] }];
  let unbounded = 0;
  let inClass = false;
  for (let i = 0; i < pattern.length; i++) {
    const ch = pattern[i]!;
    const group = groups.at(-1)!;
    if (ch === '\\') i++;
    else if (inClass) inClass = ch !== ']';
    else if (ch === '[') inClass = true;
    else if (ch === '(') {
      const inside = /^\((\?(:|<[^>]*>))?/.exec(pattern.slice(i))![0].length;
      groups.push({ repeats: false, firsts: [pattern[i + inside] ?? ''] });
      // The group's own mark, such as ?:, is no repetition.
      i += inside - 1;
    } else if (ch === '|') group.firsts.push(pattern[i + 1] ?? '');
    else if (ch === ')') {
      if (groups.length > 1) groups.pop();
      const repeated = isRepetition(pattern, i + 1);
      if (repeated && group.repeats)
        return 'a repetition inside a repetition, such as (a+)+, can take exponential time; write it without';
      if (repeated && !distinct(group.firsts))
        return 'repeated alternatives must begin with different letters or digits, or they can take exponential time';
      if (group.repeats) groups.at(-1)!.repeats = true;
    } else if (isRepetition(pattern, i)) {
      group.repeats = true;
      if (!/^\{\d+(,\d+)?\}/.test(pattern.slice(i, i + 12))) unbounded++;
    }
  }
  return unbounded > MAX_UNBOUNDED
    ? `more than ${MAX_UNBOUNDED} repetitions without a bound can take very long`
    : null;
}

function distinct(firsts: string[]): boolean {
  return (
    firsts.length === 1 ||
    (firsts.every((f) => /[A-Za-z0-9]/.test(f)) && new Set(firsts).size === firsts.length)
  );
}

function isRepetition(pattern: string, at: number): boolean {
  return pattern[at] === '*' || pattern[at] === '+' || /^\{\d+(,\d*)?\}/.test(pattern.slice(at, at + 12));
}
