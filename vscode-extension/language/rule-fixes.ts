/** Repairs of rules, policies and resources as wholes: their names, their effects, and whether they are there at all. */
import { expressionText } from '@landfall/policies/file/expressions.ts';
import type { FixtureKind } from '@landfall/policies/file/read-tests.ts';
import {
  type CodeAction,
  CodeActionKind,
  type CreateFile,
  type TextDocumentEdit,
} from 'vscode-languageserver';
import { isMap, isScalar, isSeq, type Node, type Scalar, type YAMLMap } from 'yaml';
import {
  addition,
  type Broken,
  type Fix,
  fix,
  pairOf,
  placeOf,
  replacement,
  withoutField,
  withoutItem,
  written,
} from './edits.ts';
import { meant } from './field-fixes.ts';
import { textAt } from './file.ts';
import { fixturesOf } from './fixtures.ts';
import { rulesOf } from './occurrences.ts';

/** The rule around the diagnostic. */
function ruleAt({ part, offset }: Broken) {
  return rulesOf(part).find(({ rule }) => rule.range![0] <= offset && offset <= rule.range![1]);
}

/** Another name for the second of two. */
export const rename: Fix = (broken) => {
  const { part, file, workspace } = broken;
  const rule = broken.diagnostic.code === 'duplicate-rule' ? ruleAt(broken) : undefined;
  const named = rule ? { node: rule.node as Node, text: rule.name } : textAt(part, ['metadata', 'name']);
  if (named === undefined) return [];
  const taken = rule
    ? rulesOf(part).map(({ name }) => name)
    : [file, ...workspace.all()].flatMap((one) =>
        one.parts.flatMap((other) => textAt(other, ['metadata', 'name'])?.text ?? []),
      );
  let next = 2;
  while (taken.includes(`${named.text}-${next}`)) next++;
  const name = `${named.text}-${next}`;
  return fix(`Rename to ${name}`, broken, replacement(broken, named.node, written(name)));
};

/** Takes out the rule, which changes nothing as far as the policy says. */
export const removeRule: Fix = (broken) => without(broken, ['spec', 'rules'], 'Remove the rule');

/** Takes out the exception, or what is left of them with the last. */
export const removeException: Fix = (broken) => {
  const title = 'Remove the expired exception';
  const found = without(broken, ['spec', 'exceptions'], title);
  if (found.length > 0) return found;
  const spec = broken.part.document?.getIn(['spec'], true);
  const pair = isMap(spec) ? pairOf(spec, 'exceptions') : undefined;
  const isOnly = isSeq(pair?.value) && pair.value.items.length === 1;
  return isOnly ? fix(title, broken, withoutField(broken, spec as YAMLMap, pair!), false) : [];
};

function without(broken: Broken, path: string[], title: string): CodeAction[] {
  const list = broken.part.document?.getIn(path, true);
  if (!isSeq(list)) return [];
  const index = (list.items as Node[]).findIndex(
    ({ range }) => range && range[0] <= broken.offset && broken.offset < range[2],
  );
  return index < 0 ? [] : fix(title, broken, withoutItem(broken, list, index), false);
}

/** A rule without an effect, or with two that cannot stand side by side. */
export const mendEffect: Fix = (broken) => {
  const place = placeOf(broken);
  const rule = ruleOfPlace(broken);
  const last = place?.path.at(-1);
  if (rule === undefined) return [];
  const [require, deny] = [pairOf(rule, 'require'), pairOf(rule, 'deny')];
  if (require && deny) {
    const [what, not] = [textOf(require.value), textOf(deny.value)];
    if (what === undefined || not === undefined) return [];
    const text = `require: ${written(`(${what}) && !(${not})`)}`;
    const gone = withoutField(broken, rule, deny);
    const range = broken.file.rangeOf(broken.part, [require.key.range![0], require.value!.range![1]]);
    return gone ? fix(`Write both as one require`, broken, [{ range, newText: text }, gone]) : [];
  }
  if (pairOf(rule, 'weight') && !pairOf(rule, 'prefer'))
    return [
      ...fix('Add prefer: "true"', broken, addition(broken, rule, 'prefer: "true"')),
      ...fix('Remove weight', broken, withoutField(broken, rule, pairOf(rule, 'weight')!), false),
    ];
  const inner = last === 'spread' ? 'min: 2' : last === 'labels' ? 'required: [owner]' : undefined;
  if (inner !== undefined)
    return isMap(place?.node) ? fix(`Add ${inner}`, broken, addition(broken, place.node, inner)) : [];
  return fix('Add require: "true"', broken, addition(broken, rule, 'require: "true"'));
};

function ruleOfPlace(broken: Broken): YAMLMap | undefined {
  const { path = [] } = placeOf(broken) ?? {};
  const index = path.lastIndexOf('rules') + 1;
  if (index === 0) return undefined;
  const rule = broken.part.document?.getIn(path.slice(0, index + 1), true);
  return isMap(rule) ? rule : undefined;
}

/** An expression that stands in one line. */
function textOf(node: Node | null): string | undefined {
  const text = expressionText(node);
  return (node as Scalar | null)?.type?.startsWith('BLOCK') || text?.includes('\n') ? undefined : text;
}

/** A policy without a rule gets one to go on from. */
export const addRule: Fix = (broken) => {
  const rules = broken.part.document?.getIn(['spec', 'rules'], true);
  if (!isSeq(rules) || rules.items.length > 0) return [];
  return fix('Add a rule', broken, replacement(broken, rules, '[{name: example, require: "true"}]'));
};

/** A spread over no more places than there are. */
export const narrowSpread: Fix = (broken) => {
  const most = /the catalogue has (\d+)/.exec(String(broken.diagnostic.message))?.[1];
  const rule = ruleAt(broken)?.rule;
  const min = isMap(rule) ? rule.getIn(['spread', 'min'], true) : undefined;
  if (most === undefined || !isScalar(min)) return [];
  return fix(`Spread over ${most}`, broken, replacement(broken, min, most));
};

/** Lets the rule that an override is of be overridden, in whichever file it is; or it overrides nothing. */
export const mendOverride: Fix = (broken) => {
  const { diagnostic, workspace } = broken;
  const mine = ruleAt(broken);
  if (mine === undefined) return [];
  const named = meant(broken);
  const own = mine.rule as YAMLMap;
  const pair = pairOf(own, 'override');
  const removed = pair ? fix('Remove override', broken, withoutField(broken, own, pair), false) : [];
  if (/only a project's policy/.test(String(diagnostic.message))) return [...named, ...removed];
  const opened = workspace.all().flatMap((other) =>
    other.policies.policies
      .filter(({ scope }) => scope.kind === 'organization')
      .flatMap((policy) => {
        const theirs = other.partAt({ line: policy.line - 1, character: 0 });
        const rule = rulesOf(theirs).find(({ name, isShared }) => name === mine.name && !isShared);
        const there = { ...broken, file: other, part: theirs };
        const edit = rule && addition(there, rule.rule as YAMLMap, 'overridable: true');
        return fix(`Make rule '${mine.name}' of policy '${policy.name}' overridable`, there, edit);
      }),
  );
  return [...named, ...opened, ...removed];
};

/** A label that a policy of the workspace asks for. */
export const addLabel: Fix = (broken) => {
  const { part, data } = broken;
  const label = data.path ?? '';
  const labels = part.document?.getIn(['metadata', 'labels'], true);
  const metadata = part.document?.getIn(['metadata'], true);
  const edit =
    isMap(labels) && labels.items.length > 0
      ? addition(broken, labels, `${label}: ""`)
      : isMap(metadata) && labels === undefined
        ? addition(broken, metadata, `labels: {${label}: ""}`)
        : undefined;
  return fix(`Add the label ${label}`, broken, edit);
};

/** What a file that a test names may begin with. */
const BEGINNINGS: Record<FixtureKind, string> = {
  request: 'vcpus: 1\n',
  offers: '- {provider: aws, region: eu-central-1, instanceType: m7g.large, pricePerHour: 0.1}\n',
  estate: '- {name: web, provider: aws, region: eu-central-1}\n',
  places: '- {provider: aws, region: eu-central-1, jurisdiction: EU}\n',
};

/** Makes the file that a test names. */
export const makeFile: Fix = (broken) => {
  const { file, part, offset, diagnostic } = broken;
  const named = fixturesOf(file).find(
    ({ part: of, node }) => of === part && node.range![0] <= offset && offset <= node.range![1],
  );
  if (named === undefined) return [];
  const create: CreateFile = { kind: 'create', uri: named.uri, options: { ignoreIfExists: true } };
  const start = { line: 0, character: 0 };
  const fill: TextDocumentEdit = {
    textDocument: { uri: named.uri, version: null },
    edits: [{ range: { start, end: start }, newText: BEGINNINGS[named.kind] }],
  };
  const edit = { documentChanges: [create, fill] };
  const title = `Create ${String(named.node.value)}`;
  return [{ title, kind: CodeActionKind.QuickFix, diagnostics: [diagnostic], edit }];
};
