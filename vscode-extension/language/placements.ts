/** Where the instances of a file would land: by the policies of the workspace, over the shipped catalogue. */
import type { InstanceSpec } from '@landfall/model';
import {
  anywhere,
  type CompiledPolicies,
  compilePolicies,
  type Decision,
  loadSnapshot,
  NO_POLICIES,
  type ParsedPolicy,
  type PlacementInput,
  PolicyProblems,
  parseRequestRules,
  place,
  placementRequest,
} from '@landfall/policies';
import { type Diagnostic, DiagnosticSeverity } from 'vscode-languageserver';
import { isSound, made } from './diagnostics.ts';
import { type FilePart, type LandfallFile, textAt } from './file.ts';
import type { NothingToExplain, PlacementExplanation } from './protocol.ts';
import { regionOffers } from './region-offers.ts';
import type { Workspace } from './workspace.ts';

/** An instance with where it would land. */
export interface Placed {
  part: FilePart;
  name: string;
  labels: Record<string, string>;
  input: PlacementInput;
  decision: Decision;
}

export class Placements {
  readonly #workspace: Workspace;
  #compiled: { key: string; policies: readonly ParsedPolicy[]; compiled: CompiledPolicies } = {
    key: '',
    policies: [],
    compiled: NO_POLICIES,
  };
  /** By text of the document, for one set of policies. */
  #known = new Map<string, Omit<Placed, 'part'>>();

  constructor(workspace: Workspace) {
    this.#workspace = workspace;
  }

  /** The instances of a file whose documents are sound. */
  of(file: LandfallFile): Placed[] {
    return file.parts.flatMap((part) => {
      const placed = part.kind === 'Instance' && isSound(part) ? this.#place(part) : undefined;
      return placed === undefined ? [] : [{ ...placed, part }];
    });
  }

  /** Where the instance at a line (from 0) would land and why, with what each region would cost. */
  explain(file: LandfallFile, line: number): PlacementExplanation | NothingToExplain {
    const part = file.partAt({ line, character: 0 });
    if (part.kind !== 'Instance') return { refused: 'The cursor is not in a document of kind Instance.' };
    const placed = isSound(part) ? this.#place(part) : undefined;
    if (placed === undefined) return { refused: 'The instance has errors: mend what is underlined first.' };
    const { name, input, decision } = placed;
    const broken = this.#workspace
      .all()
      .filter(({ policies }) => policies.problems.some(({ severity }) => severity === 'error'));
    return {
      subject: `instance/${name}`,
      decision,
      regions: regionOffers(input),
      unreadable: broken.map(({ uri }) => uri),
      madeFrom: 'By the policies of the workspace, over the shipped prices.',
      atBroker: false,
    };
  }

  #place(part: FilePart): Omit<Placed, 'part'> | undefined {
    const { policies } = this.#inForce();
    const found = this.#known.get(part.text);
    if (found !== undefined) return found;
    const { metadata, spec } = part.document!.toJS({ maxAliasCount: 100 }) as {
      metadata: { name: string; project?: string; labels?: Record<string, string> };
      spec: InstanceSpec;
    };
    const { name, project = 'default', labels = {} } = metadata;
    const { rules } = parseRequestRules(spec.placement?.rules ?? [], '');
    const request = placementRequest({ organization: 'default', project, name, labels, spec }, anywhere);
    const input: PlacementInput = {
      request,
      catalogue: loadSnapshot(),
      sites: [],
      policies,
      setAside: [],
      includeUnconfigured: true,
      requestRules: rules,
    };
    const placed = { name, labels, input, decision: place(input) };
    this.#known.set(part.text, placed);
    return placed;
  }

  /** The policies of the workspace's files; of several under one name, the first. */
  #inForce(): { policies: CompiledPolicies } {
    const byKey = new Map<string, ParsedPolicy>();
    for (const { policies } of this.#workspace.all())
      for (const policy of policies.policies) {
        const key = `${policy.scope.kind} ${policy.scope.name} ${policy.name}`;
        if (!byKey.has(key)) byKey.set(key, policy);
      }
    const key = [...byKey].map(([name, { version, file }]) => `${name} ${version} ${file}`).join('\n');
    if (key !== this.#compiled.key) {
      const policies = [...byKey.values()];
      this.#compiled = { key, policies, compiled: compiled(policies) };
      this.#known = new Map();
    }
    return { policies: this.#compiled.compiled };
  }

  /** Labels that policies ask of a file's instances, and that these do not have. */
  missingLabels(file: LandfallFile): Diagnostic[] {
    return this.of(file).flatMap(({ part, labels, decision }) => {
      const at = textAt(part, ['metadata', 'name']);
      if (at === undefined) return [];
      const refused = decision.rules.filter(
        ({ effect, mode, rejected }) => effect === 'labels' && mode === 'enforce' && rejected > 0,
      );
      return refused.flatMap(({ policy, rule }) =>
        this.#requiredLabels(policy, rule)
          .filter((label) => !Object.hasOwn(labels, label))
          .map((label) =>
            made(
              DiagnosticSeverity.Warning,
              'missing-label',
              `Rule '${rule}' of policy '${policy}' refuses a machine without the label ${label}.`,
              file.rangeOf(part, at.node),
              { path: label },
            ),
          ),
      );
    });
  }

  #requiredLabels(policy: string, rule: string): string[] {
    return this.#compiled.policies
      .filter(({ name }) => name === policy)
      .flatMap(({ rules }) => rules.filter(({ name }) => name === rule))
      .flatMap(({ clauses }) =>
        clauses.flatMap((clause) => (clause.effect === 'labels' ? clause.required : [])),
      );
  }
}

function compiled(policies: readonly ParsedPolicy[]): CompiledPolicies {
  try {
    return compilePolicies(policies);
  } catch (error) {
    // Too many strict preferences in all files together: then none of these files says what is in force.
    if (error instanceof PolicyProblems) return NO_POLICIES;
    throw error;
  }
}
