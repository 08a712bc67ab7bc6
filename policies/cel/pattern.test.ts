import { seeded } from '../testing/random-cases.ts';
import { patternProblem } from './pattern.ts';

test.each([
  '^eu-',
  '^(eu|us)-[a-z]+-[0-9]+$',
  '^[a-z]{2}-[a-z]+-\\d{1,2}$',
  '^m[5-7][a-z]*\\.(x|2x|4x)large$',
  'large$',
  '^[a-z0-9][a-z0-9-]{0,61}$',
  '^team-(a|b|c)$',
  '^(https://)?registry\\.example\\.com/',
  '',
])('%s is a pattern to be used', (pattern) => expect(patternProblem(pattern)).toBeNull());

test.each([
  ['(a+)+$', 'repetition inside a repetition'],
  ['(a?){30}', 'repetition inside a repetition'],
  ['((a|b)*)*', 'repetition inside a repetition'],
  ['(a|a)*b', 'different letters'],
  ['(a|ab)+c', 'different letters'],
  ['(.|a){20}', 'different letters'],
  [`${'a?'.repeat(25)}${'a'.repeat(25)}`, 'too many ways'],
  [`${'a{0,9}'.repeat(9)}b`, 'too many ways'],
  [`${'(a|a)'.repeat(25)}b`, 'too many ways'],
  ['a*a*a*a*b', 'too many ways'],
  ['.*.*.*.*x', 'too many ways'],
  ['(', 'not a valid pattern'],
  ['(?=a)', 'lookahead'],
  ['(a)\\1', 'backreferences'],
  ['a'.repeat(501), 'longer than'],
])('%s is refused', (pattern, why) => expect(patternProblem(pattern)).toContain(why));

test('no pattern that is let through takes long, whatever the text', () => {
  const next = seeded(99);
  const pick = <T>(from: readonly T[]): T => from[Math.floor(next() * from.length)]!;
  const part = (depth: number): string => {
    const item = pick(['a', 'a', 'b', '.', '[ab]', '\\w', '[^b]', depth > 0 ? '(' : 'a']);
    const inner = (): string =>
      Array.from({ length: 1 + Math.floor(next() * 3) }, () => part(depth - 1)).join('');
    const whole =
      item === '(' ? `(${Array.from({ length: 1 + Math.floor(next() * 3) }, inner).join('|')})` : item;
    return whole + pick(['', '', '', '*', '+', '?', '{2}', '{0,9}', '{3,}', '+?']);
  };
  const texts = [
    'a'.repeat(250),
    `${'a'.repeat(250)}!`,
    'ab'.repeat(120),
    `${'b'.repeat(125)}${'a'.repeat(125)}!`,
  ];
  let allowed = 0;
  for (let i = 0; i < 20_000; i++) {
    const pattern = `${pick(['', '^'])}${Array.from({ length: 1 + Math.floor(next() * 7) }, () => part(2)).join('')}${pick(['', '$', 'c', 'c$'])}`;
    if (patternProblem(pattern) !== null) continue;
    allowed++;
    const start = process.threadCpuUsage();
    for (const text of texts) new RegExp(pattern).test(text);
    // Of the processor: a busy machine is no slow pattern.
    const took = process.threadCpuUsage(start).user / 1000;
    expect({ pattern, slow: took > 1_000 }).toEqual({ pattern, slow: false });
  }
  expect(allowed).toBeGreaterThan(2000);
}, 120_000);
