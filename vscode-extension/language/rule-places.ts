/** Which line of the workspace a rule is: asked by its names, since decisions tell of rules by these. */
import { TextDocument } from 'vscode-languageserver-textdocument';
import { isMap, isScalar, isSeq, type Node } from 'yaml';
import { type FilePart, LandfallFile, textAt } from './file.ts';
import { rulesOf } from './occurrences.ts';
import type { RuleName, RulePlace } from './protocol.ts';
import type { Workspace } from './workspace.ts';

/** What rules that came with an instance are told to be of. */
const OF_REQUEST = 'request';

/**
 * The rule in the files of the workspace as the editor has them, that of `uri` first; else its line in the text that a broker
 * keeps; null where neither has it. Of a broker's policy only one of the same name and scope is the same policy.
 */
export function rulePlace(
  { policy, rule, uri, stored, subject }: RuleName,
  workspace: Workspace,
): RulePlace | null {
  const kept =
    stored === undefined
      ? undefined
      : new LandfallFile(TextDocument.create('', 'yaml', 0, stored), 'documents');
  const keptPart = kept && policiesNamed(kept, policy)[0];
  const scope = keptPart && scopeOf(keptPart);
  const all = workspace.all();
  const files = [...all.filter((file) => file.uri === uri), ...all.filter((file) => file.uri !== uri)];
  for (const file of files)
    for (const part of policiesNamed(file, policy)) {
      // A file that is named has it, whatever the broker has under this name.
      if (scope !== undefined && file.uri !== uri && scopeOf(part) !== scope) continue;
      const line = lineOf(file, part, rule);
      if (line !== undefined) return { uri: file.uri, line };
    }
  if (policy === OF_REQUEST)
    for (const file of files) {
      const line = ownRuleLine(file, rule, subject);
      if (line !== undefined) return { uri: file.uri, line };
    }
  if (kept === undefined || keptPart === undefined) return null;
  return { line: lineOf(kept, keptPart, rule) ?? keptPart.line + 1 };
}

function policiesNamed({ parts }: LandfallFile, name: string): FilePart[] {
  return parts.filter(
    (part) => part.kind === 'PlacementPolicy' && textAt(part, ['metadata', 'name'])?.text === name,
  );
}

function scopeOf(part: FilePart): string {
  return textAt(part, ['metadata', 'scope'])?.text ?? 'organizations/default';
}

function lineOf(file: LandfallFile, part: FilePart, rule: string): number | undefined {
  const found = rulesOf(part).find(({ name }) => name === rule);
  return found && file.rangeOf(part, found.node).start.line + 1;
}

/** A rule that the instance brings which the decision is about. */
function ownRuleLine(file: LandfallFile, rule: string, subject: string | undefined): number | undefined {
  for (const part of file.parts) {
    if (part.kind !== 'Instance' || `instance/${textAt(part, ['metadata', 'name'])?.text}` !== subject)
      continue;
    const rules = part.document?.getIn(['spec', 'placement', 'rules'], true);
    for (const each of isSeq(rules) ? rules.items : []) {
      const name = isMap(each) ? each.get('name', true) : undefined;
      if (isScalar(name) && name.value === rule) return file.rangeOf(part, name as Node).start.line + 1;
    }
  }
  return undefined;
}
