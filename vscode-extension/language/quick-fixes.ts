/** What repairs a problem at once: a decision for each code that a diagnostic may have. */
import type { CodeAction, Diagnostic } from 'vscode-languageserver';
import type { DiagnosticCode } from './diagnostic-codes.ts';
import { brokenAt, type Fix } from './edits.ts';
import { mendName, mendPattern, mendSyntax, mendType, mendUse } from './expression-fixes.ts';
import { addField, changeField, changeKind, changeValue, meant } from './field-fixes.ts';
import type { LandfallFile } from './file.ts';
import {
  addLabel,
  addRule,
  makeFile,
  mendEffect,
  mendOverride,
  narrowSpread,
  removeException,
  removeRule,
  rename,
} from './rule-fixes.ts';
import type { Workspace } from './workspace.ts';
import { mendYaml, removeTag } from './yaml-fixes.ts';

/** How problems of a code are repaired, in words for docs/language-server.md; or why nothing can repair them but their author. */
type Decision = { fix: Fix; does: string } | { none: string };

export const QUICK_FIXES: Record<DiagnosticCode, Decision> = {
  'yaml-syntax': {
    fix: mendYaml,
    does: 'a field that is there twice is taken out, tabs become spaces, commas are put between fields, a value in quotes, or its quote closed',
  },
  'yaml-aliases': { none: 'which of so many aliases to write out is a matter of what they are for' },
  'yaml-warning': { fix: removeTag, does: 'the tag is taken out' },
  'file-too-large': { none: 'where to divide a file is for its author' },
  'no-policy': { none: 'an editor does not report it: a file without a policy is nothing wrong there' },
  'too-many': { none: 'which of so many to do without is for their author' },
  'missing-field': { fix: addField, does: 'the field is added, with a value to go on from' },
  'unknown-field': { fix: changeField, does: 'the nearest field that there is; or it is taken out' },
  'wrong-type': {
    fix: changeValue,
    does: 'a number is put in quotes, or taken out of them (`4 GiB` is 4), one thing becomes a list of it, `yes` is true',
  },
  'wrong-value': {
    fix: changeValue,
    does: 'each word that is allowed, the nearest first; the nearest right duration, amount, time, time zone, name or number; what must be absent is taken out',
  },
  'unknown-name': {
    fix: mendName,
    does: 'what was meant: a rule, `offer.`, `request.`, a variable, or a text in quotes',
  },
  'no-rules': { fix: addRule, does: 'a rule to go on from' },
  'rule-effect': {
    fix: mendEffect,
    does: 'an effect is added, or what belongs to it; require and deny become one require',
  },
  'duplicate-policy': { fix: rename, does: 'a name that nothing has yet' },
  'duplicate-rule': { fix: rename, does: 'a name that no other rule has' },
  'expired-exception': { fix: removeException, does: 'the exception is taken out' },
  'cel-syntax': {
    fix: mendSyntax,
    does: '`and`, `or`, `not` and `=` in the signs of CEL; brackets and quotes are closed',
  },
  'cel-type': {
    fix: mendType,
    does: '`730.0` for 730 and the other way round; quotes around a number added or taken away; a comparison added',
  },
  'cel-pattern': {
    fix: mendPattern,
    does: 'the nearest pattern that is one: `.*` for `*`, brackets closed, `^` before it',
  },
  'cel-not-allowed': {
    fix: mendUse,
    does: '`.?` becomes `.`, and `has()` of a variable true; for the rest there is no other way to say it',
  },
  'cel-too-long': { none: 'what to say in fewer words is for its author' },
  'cel-too-costly': { none: 'which of the nested lists to do without is for its author' },
  'unknown-attribute': { fix: meant, does: 'the nearest attribute or variable' },
  'variable-cycle': { none: 'which of the variables should stand alone is for their author' },
  'slow-expression': { none: 'the figures stay right: which attribute to leave out is for its author' },
  'never-holds': {
    none: 'the rule says something else than was meant, and without it everything would pass',
  },
  'never-applies': { fix: removeRule, does: 'the rule is taken out' },
  'always-holds': { fix: removeRule, does: 'the rule is taken out' },
  'redundant-rule': { fix: removeRule, does: 'the rule is taken out' },
  contradiction: { none: 'which of the two rules gives way is for their author' },
  override: {
    fix: mendOverride,
    does: 'the rule that is overridden becomes `overridable: true`, in its file; or `override` is taken out, or the nearest name taken',
  },
  'unknown-value': { fix: meant, does: 'the nearest value that an offer has' },
  'wide-spread': { fix: narrowSpread, does: '`min` becomes the most that there are' },
  'unknown-kind': { fix: changeKind, does: 'each kind that there is, the nearest first' },
  'duplicate-name': { fix: rename, does: 'a name that nothing has yet' },
  'missing-label': { fix: addLabel, does: 'the label is added' },
  'missing-file': {
    fix: (broken) => [...meant(broken), ...makeFile(broken)],
    does: 'the nearest file that there is; or it is made, with something to go on from',
  },
};

/** The repairs of some problems of a file. */
export function quickFixes(
  file: LandfallFile,
  diagnostics: readonly Diagnostic[],
  workspace: Workspace,
): CodeAction[] {
  return diagnostics
    .filter(({ source }) => source === 'landfall')
    .flatMap((diagnostic) => {
      const decision = QUICK_FIXES[diagnostic.code as DiagnosticCode];
      return 'fix' in decision ? decision.fix(brokenAt(file, diagnostic, workspace)) : [];
    });
}
