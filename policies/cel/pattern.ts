/** Longest pattern, in characters. */
const MAX_LENGTH = 500;

/** Ways to match that the backtracking engine may have to try on a text, by {@link backtracking}; each takes up to the text's length. */
const MAX_WAYS = 20_000;

/** Texts are counted as this long. */
const TEXT_LENGTH = 100;

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
  return backtracking(pattern);
}

/** What is known of a group while the walk is inside it. */
interface Group {
  /** Whether something in it can match in more than one way. */
  choices: boolean;
  /** First characters of its alternatives; a second equal one, or one that is not a plain letter, is doubtful. */
  firsts: string[];
  /** Where it begins in the pattern. */
  start: number;
}

const ANY_TIMES = /^(?:\*|\+|\?|\{(\d+)(,(\d*))?\})/;

/**
 * Bounds the ways a backtracking engine can match: a repetition can end anywhere in the text unless what follows it
 * says where, an alternative can be any unless their beginnings differ, and all of these multiply.
 */
function backtracking(pattern: string): string | null {
  const groups: Group[] = [{ choices: false, firsts: [pattern[0] ?? ''], start: 0 }];
  // A pattern that may begin anywhere is tried at each character.
  let ways = /^\^[^|]*$/.test(pattern) ? 1 : TEXT_LENGTH;
  let i = 0;
  while (i < pattern.length) {
    const group = groups.at(-1)!;
    const item = itemAt(pattern, i);
    if (item === '|') {
      group.firsts.push(pattern[i + 1] ?? '');
      i++;
      continue;
    }
    if (item.startsWith('(')) {
      i += item.length;
      groups.push({ choices: false, firsts: [pattern[i] ?? ''], start: i });
      continue;
    }
    const closed = item === ')' && groups.length > 1 ? groups.pop()! : null;
    i += item.length;
    const quantifier = ANY_TIMES.exec(pattern.slice(i, i + 16));
    if (closed !== null && !distinct(closed.firsts)) {
      ways *= closed.firsts.length;
      closed.choices = true;
      if (quantifier !== null && quantifier[0] !== '?')
        return 'repeated alternatives must begin with different letters or digits, or they can take exponential time';
    }
    const outer = groups.at(-1)!;
    if (closed?.choices) outer.choices = true;
    if (quantifier === null) continue;
    i += quantifier[0].length;
    // A lazy repetition has the same ways in another order.
    if (pattern[i] === '?') i++;
    const times = timesOf(quantifier);
    if (closed?.choices && quantifier[0] !== '?')
      return 'a repetition inside a repetition, such as (a+)+, can take exponential time; write it without';
    if (times === 1) continue;
    outer.choices = true;
    if (closed !== null || !endsForSure(item, pattern.slice(i))) ways *= times;
  }
  const top = groups[0]!;
  if (!distinct(top.firsts)) ways *= top.firsts.length;
  return ways > MAX_WAYS
    ? 'it can match in too many ways, which can take very long: use fewer repetitions, and begin it with ^'
    : null;
}

/** One character, escape, class or bracket of a group at a place; the anchors too. */
function itemAt(pattern: string, at: number): string {
  const rest = pattern.slice(at);
  const escaped = /^\\(?:u\{[0-9a-fA-F]+\}|u[0-9a-fA-F]{4}|x[0-9a-fA-F]{2}|[pP]\{[^}]*\}|.)/s.exec(rest);
  if (escaped !== null) return escaped[0];
  const set = /^\[(?:\\.|[^\]\\])*\]/s.exec(rest);
  if (set !== null) return set[0];
  return /^\((?:\?(?::|<[^>]*>))?/.exec(rest)?.[0] ?? rest[0]!;
}

/** How many lengths a quantifier allows. */
function timesOf([text, least, range, most]: RegExpExecArray): number {
  if (text === '*' || text === '+') return TEXT_LENGTH;
  if (text === '?') return 2;
  if (range === undefined) return 1;
  return most === '' ? TEXT_LENGTH : Math.max(1, Number(most) - Number(least) + 1);
}

/** Whether a repeated character must stop where the rest goes on: the rest begins with one that it is not. */
function endsForSure(item: string, rest: string): boolean {
  if (rest === '' || rest === '$') return true;
  const next = itemAt(rest, 0);
  const character = /^\\[^\w]$/.test(next) ? next[1]! : next;
  if (character.length !== 1 || /^[.^$()|*+?[\]{}]$/.test(next)) return false;
  const optional = ANY_TIMES.exec(rest.slice(next.length));
  if (optional !== null && optional[0] !== '+' && !/^\{[1-9]/.test(optional[0])) return false;
  return !new RegExp(`^(?:${item})$`).test(character);
}

function distinct(firsts: string[]): boolean {
  return (
    firsts.length === 1 ||
    (firsts.every((f) => /[A-Za-z0-9]/.test(f)) && new Set(firsts).size === firsts.length)
  );
}
