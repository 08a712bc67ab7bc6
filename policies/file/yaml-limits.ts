import { Lexer } from 'yaml';

/** YAML's parser makes some 100,000 of these a second; a policy of 500 rules has about 20,000. */
const MAX_TOKENS = 40_000;

/** Brackets in brackets. */
const MAX_NESTING = 100;

/** Why a text is not given to the YAML parser, which would take seconds over it; null = it may be. */
export function beyondYamlLimits(text: string): { code: 'too-many' | 'yaml-syntax'; message: string } | null {
  let tokens = 0;
  let nesting = 0;
  for (const token of new Lexer().lex(text)) {
    if (++tokens > MAX_TOKENS)
      return {
        code: 'too-many',
        message: `a policy file may have ${MAX_TOKENS} YAML tokens, this one has more`,
      };
    if (token === '[' || token === '{') nesting++;
    else if (token === ']' || token === '}') nesting--;
    if (nesting > MAX_NESTING)
      return {
        code: 'yaml-syntax',
        message: `brackets may be nested ${MAX_NESTING} deep, here they go deeper`,
      };
  }
  return null;
}
