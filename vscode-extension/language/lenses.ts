/** Lines above resources, rules and policies that say what they do and cost. */
import type { ParsedPolicy } from '@landfall/policies';
import { figure } from '@landfall/policies/figure.ts';
import type { CodeLens } from 'vscode-languageserver';
import type { BrokerAnswers } from './broker-answers.ts';
import { type FilePart, type LandfallFile, textAt } from './file.ts';
import { rulesOf } from './occurrences.ts';
import type { Placed, Placements } from './placements.ts';
import { type DocumentTarget, type LanguageSettings, lensCommands, type RuleTarget } from './protocol.ts';
import { type RuleCount, ruleCounts } from './rule-counts.ts';
import { rulesNamed } from './tests.ts';
import { KINDS } from './yaml.ts';

/** What was found out of one file, by name. */
interface Known {
  placed: Map<string, Placed>;
  policies: Map<string, { version: string; counts: Map<string, RuleCount> }>;
  /** Each policy as it was last without errors. */
  sound: Map<string, ParsedPolicy>;
  /** The lenses of each document, as last shown while it was sound. */
  shown: Map<string, CodeLens[]>;
}

/** What is shown unless settings say otherwise. */
export const ALL_LENSES: LanguageSettings['lenses'] = {
  resource: true,
  rule: true,
  policy: true,
  whatIf: true,
  actions: true,
};

/** What a connected broker can be asked to do with a document; a policy's plan is its what-if. */
const ACTIONS = [
  { title: 'plan', command: lensCommands.planFile },
  { title: 'apply', command: lensCommands.applyFile },
  { title: 'compare with live', command: lensCommands.compareWithLive },
  { title: 'delete', command: lensCommands.deleteFile },
];

export class Lenses {
  readonly #placements: Placements;
  readonly #known = new Map<string, Known>();
  wanted = ALL_LENSES;

  constructor(placements: Placements) {
    this.#placements = placements;
  }

  forget(uri: string): void {
    this.#known.delete(uri);
  }

  /** Finds out anew what changed in a file; whether anything did. Takes a while. */
  update(file: LandfallFile): boolean {
    const known = this.#of(file);
    let changed = false;
    if (this.wanted.resource)
      for (const placed of this.#placements.of(file)) {
        changed ||= known.placed.get(placed.name)?.decision !== placed.decision;
        known.placed.set(placed.name, placed);
      }
    if (this.wanted.rule)
      for (const policy of file.policies.policies) {
        if (known.policies.get(policy.name)?.version === policy.version) continue;
        known.policies.set(policy.name, { version: policy.version, counts: ruleCounts(policy) });
        changed = true;
      }
    return changed;
  }

  /** The lenses of a file by what is known of it, and by a broker's answers where one is connected; those of a document that is broken stay as they were. */
  of(file: LandfallFile, answers: BrokerAnswers | undefined): CodeLens[] {
    const known = this.#of(file);
    const shown = new Map<string, CodeLens[]>();
    for (const part of file.parts) {
      const name = textAt(part, ['metadata', 'name'])?.text;
      const key = `${part.kind} ${name ?? `at ${part.line}`}`;
      const last = known.shown.get(key);
      const isBroken = part.document === null || part.document.errors.length > 0;
      const lenses =
        isBroken && last !== undefined
          ? last
          : part.kind === 'PlacementPolicy'
            ? this.#ofPolicy(file, part, known, answers)
            : this.#ofResource(file, part, known, answers);
      shown.set(key, lenses);
    }
    known.shown = shown;
    return [...shown.values()].flat();
  }

  #of({ uri }: LandfallFile): Known {
    let known = this.#known.get(uri);
    if (known === undefined) {
      known = { placed: new Map(), policies: new Map(), sound: new Map(), shown: new Map() };
      this.#known.set(uri, known);
    }
    return known;
  }

  #ofResource(
    file: LandfallFile,
    part: FilePart,
    known: Known,
    answers: BrokerAnswers | undefined,
  ): CodeLens[] {
    const name = textAt(part, ['metadata', 'name'])?.text;
    const kind = textAt(part, ['kind']);
    if (name === undefined || kind === undefined || !KINDS.includes(part.kind)) return [];
    const placed = part.kind === 'Instance' ? known.placed.get(name) : undefined;
    const { line } = file.rangeOf(part, kind.node).start;
    const target = { uri: file.uri, line, name };
    const lenses: CodeLens[] = [];
    const title = answers?.summary(file.uri, part.kind, name) ?? (placed && resourceTitle(placed));
    if (this.wanted.resource && title !== undefined)
      lenses.push(lens(line, `${title} · why`, lensCommands.explainPlacement, target));
    return answers ? [...lenses, ...this.#actions(target)] : lenses;
  }

  #actions(target: DocumentTarget, but?: string): CodeLens[] {
    if (!this.wanted.actions) return [];
    return ACTIONS.filter(({ title }) => title !== but).map(({ title, command }) =>
      lens(target.line, title, command, target),
    );
  }

  #ofPolicy(
    file: LandfallFile,
    part: FilePart,
    known: Known,
    answers: BrokerAnswers | undefined,
  ): CodeLens[] {
    const name = textAt(part, ['metadata', 'name'])?.text;
    const kind = textAt(part, ['kind']);
    if (name === undefined || kind === undefined) return [];
    const { line } = file.rangeOf(part, kind.node).start;
    const policy = file.policies.policies.find((one) => one.name === name) ?? known.sound.get(name);
    if (policy !== undefined) known.sound.set(name, policy);
    const lenses: CodeLens[] = [];
    const tests = policy?.tests.length ?? 0;
    const own = { uri: file.uri, line, name };
    if (this.wanted.whatIf && answers !== undefined) {
      const summary = answers.summary(file.uri, part.kind, name);
      const title = summary === undefined ? 'what-if' : `what-if: ${summary}`;
      lenses.push(lens(line, title, lensCommands.whatIf, own));
    }
    if (this.wanted.policy && tests > 0)
      lenses.push(
        lens(line, `run ${tests} test${tests === 1 ? '' : 's'}`, lensCommands.runPolicyTests, {
          uri: file.uri,
          policy: name,
        }),
      );
    if (answers !== undefined) lenses.push(...this.#actions(own, 'plan'));
    const counts = known.policies.get(name)?.counts;
    if (!this.wanted.rule || counts === undefined) return lenses;
    for (const rule of rulesOf(part)) {
      const at = file.rangeOf(part, rule.node).start.line;
      const count = counts.get(rule.name);
      const isTested = policy?.tests.some(({ expect }) => rulesNamed(expect).includes(rule.name));
      const target = { uri: file.uri, policy: name, rule: rule.name };
      if (count !== undefined) {
        const of = (asked: RuleTarget['asked'], title: string): CodeLens =>
          lens(at, title, lensCommands.ruleRejections, { ...target, asked });
        lenses.push(of('rejected', rejectedTitle(count)));
        lenses.push(of('alone', `alone ${number(count.alone)}`));
      }
      if (isTested) lenses.push(lens(at, 'run tests', lensCommands.runPolicyTests, target));
    }
    return lenses;
  }
}

function lens(line: number, title: string, command: string, target: object): CodeLens {
  const place = { line, character: 0 };
  return {
    range: { start: place, end: place },
    command: { title, command, arguments: [target] },
  };
}

function resourceTitle({ decision }: Placed): string {
  const { winner, reasons } = decision;
  if (winner === null) return `no place: ${reasons[0] ?? 'nothing fits'}`;
  const asks = (decision.approvals ?? []).length > 0 ? ' · needs approval' : '';
  return `cheapest: $${figure(winner.pricePerHour)}/h · ${winner.provider} ${winner.region} ${winner.instanceType}${asks}`;
}

function rejectedTitle({ rejected, of, whereItApplies }: RuleCount): string {
  return `rejects ${number(rejected)} of ${number(of)} offers${whereItApplies ? ' where it applies' : ''}`;
}

const number = (count: number): string => count.toLocaleString('en-US');
