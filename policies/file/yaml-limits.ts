import { Lexer } from 'yaml';

/** YAML's parser makes some 100,000 of these a second; a policy of 500 rules has about 20,000. */
export const MAX_TOKENS = 40_000;

/** Brackets in brackets. */
const MAX_NESTING = 100;

/** Why a text is not given to the YAML parser, which would take seconds over it. */
export class BeyondYamlLimits extends Error {
  readonly code: 'too-many' | 'yaml-syntax';

  constructor(code: BeyondYamlLimits['code'], message: string) {
    super(message);
    this.name = 'BeyondYamlLimits';
    this.code = code;
  }

  static tokens(): BeyondYamlLimits {
    return new BeyondYamlLimits(
      'too-many',
      `a policy file may have ${MAX_TOKENS} YAML tokens, this one has more`,
    );
  }
}

/** The tokens of a text, of which the parser makes its nodes. Throws {@link BeyondYamlLimits}. */
export function yamlTokens(text: string): string[] {
  const tokens: string[] = [];
  let nesting = 0;
  for (const token of new Lexer().lex(text)) {
    tokens.push(token);
    if (tokens.length > MAX_TOKENS) throw BeyondYamlLimits.tokens();
    if (token === '[' || token === '{') nesting++;
    else if (token === ']' || token === '}') nesting--;
    if (nesting > MAX_NESTING)
      throw new BeyondYamlLimits(
        'yaml-syntax',
        `brackets may be nested ${MAX_NESTING} deep, here they go deeper`,
      );
  }
  return tokens;
}
