/** What applying the documents of a file would do and cost: the command line's own dry run, document by document. */
import { pricePerHour, pricePerMonth, signedPerMonth } from '@landfall/model/quantities.ts';
import {
  type ApplySession,
  applyOne,
  CommandError,
  inOrder,
  type Manifest,
  manifestSubject,
  type Outcome,
  offerPlace,
  ProblemError,
  renderDecision,
  renderDifferences,
} from 'landfall/client.ts';
import { type BrokerConnection, UnreachableError } from '../broker/connection.ts';
import { planSize, priceWords, type Question } from '../estate/actions.ts';

/** What an instance costs; in USD unless it says otherwise. */
interface Price {
  pricePerHour?: number;
  pricePerMonth?: number;
  currency?: string;
}

/** What would become of one document: exactly one of `outcome`, `waitsFor` and `error`. */
export interface Step {
  manifest: Manifest;
  outcome?: Outcome;
  /** What it names that this file makes first: before that is there, it cannot be tried. */
  waitsFor?: Manifest[];
  /** Why it would be refused. */
  error?: Error;
  /** Of an instance whose price changes: what it costs now. */
  before?: Price;
  /** Of an instance whose price changes: what it would cost. */
  after?: Price;
}

/** The plan of a file; nothing is changed by making it. Throws when the broker cannot be asked at all. */
export async function planFile(
  connection: BrokerConnection,
  session: ApplySession,
  manifests: readonly Manifest[],
): Promise<Step[]> {
  const steps: Step[] = [];
  for (const manifest of inOrder(manifests)) steps.push(await planOne(connection, session, manifest, steps));
  return steps;
}

async function planOne(
  connection: BrokerConnection,
  session: ApplySession,
  manifest: Manifest,
  earlier: readonly Step[],
): Promise<Step> {
  try {
    const outcome = await applyOne(session, manifest, { dryRun: true, defaultKey: true });
    const winner = outcome.decision?.winner;
    if (winner) return { manifest, outcome, after: winner };
    const { before } = outcome;
    if (before === undefined) return { manifest, outcome };
    const { vcpus, memoryGiB } = { ...before.spec, ...manifest.spec } as typeof before.spec;
    if (vcpus === before.spec.vcpus && memoryGiB === before.spec.memoryGiB) return { manifest, outcome };
    const decision = await planSize(connection, before, { vcpus, memoryGiB });
    return { manifest, outcome, before: before.status, after: decision?.winner ?? undefined };
  } catch (error) {
    if (error instanceof UnreachableError || !(error instanceof CommandError)) throw error;
    const madeFirst = earlier.filter(
      ({ manifest: other, outcome, waitsFor }) =>
        (waitsFor !== undefined || outcome?.action === 'created') &&
        (manifest.project === other.name || namesIn(manifest.spec).includes(other.name)),
    );
    const isFault =
      error instanceof ProblemError && error.problem.status < 500 && error.problem.status !== 401;
    if (isFault && madeFirst.length > 0)
      return { manifest, waitsFor: madeFirst.map((step) => step.manifest) };
    return { manifest, error };
  }
}

/** Every text in a spec: some of them name other things. */
function namesIn(value: unknown): string[] {
  if (typeof value === 'string') return [value];
  return typeof value === 'object' && value !== null ? Object.values(value).flatMap(namesIn) : [];
}

/** Whether applying would change anything. */
export function changesAnything(steps: readonly Step[]): boolean {
  return steps.some(({ outcome, waitsFor }) => waitsFor !== undefined || outcome?.action !== 'unchanged');
}

/** A line on one document. */
function stepLine({ manifest, outcome, waitsFor, error, before, after }: Step): string {
  const subject = manifestSubject(manifest);
  if (error !== undefined) return `Refused: ${subject}: ${error.message}`;
  if (waitsFor !== undefined)
    return `Creates ${subject}; what it costs is known once ${waitsFor.map(manifestSubject).join(' and ')} is there`;
  if (outcome?.action === 'unchanged') return `Leaves ${subject} as it is`;
  if (outcome?.action === 'configured') {
    const changed = (outcome.differences ?? []).map(({ field }) => field.replace(/^spec\./, '')).join(', ');
    return `Changes ${subject} (${changed})${after ? `: ${priceWords(after)}${before && priceWords(before) ? `, now ${priceWords(before)}` : ''}` : ''}`;
  }
  if (outcome?.decision === undefined) return `Creates ${subject}`;
  const { winner, reasons, approvals = [] } = outcome.decision;
  if (winner === null) return `Creates ${subject}, which fits nowhere: ${reasons.join('; ')}`;
  const asks = approvals
    .map(({ rule, by }) => `, after an approval by ${by.join(' or ')} (${rule})`)
    .join('');
  return `Creates ${subject} on ${offerPlace(winner)}, ${winner.instanceType}: ${priceWords(winner)}${asks}`;
}

/** `In all $0.0200 an hour, +$14.60 a month.`; undefined where nothing has a price. */
function totalLine(steps: readonly Step[]): string | undefined {
  const priced = steps.filter(({ after }) => after !== undefined);
  if (priced.length === 0) return undefined;
  const sum = (of: 'pricePerHour' | 'pricePerMonth'): number =>
    priced.reduce((total, { before, after }) => total + (after?.[of] ?? 0) - (before?.[of] ?? 0), 0);
  const [hour, month] = [sum('pricePerHour'), sum('pricePerMonth')];
  const { currency } = priced[0]!.after!;
  const words = `${pricePerHour(Math.abs(hour), currency)} an hour, ${pricePerMonth(Math.abs(month), currency)} a month`;
  if (signedPerMonth(month, currency) === signedPerMonth(0, currency))
    return 'In all it costs what it costs now.';
  return `In all ${words} ${month < 0 ? 'less' : 'more'}.`;
}

/** What is asked before a plan is carried out. */
export function applyQuestion(what: string, connection: BrokerConnection, steps: readonly Step[]): Question {
  const { name, project } = connection.context;
  const keyless = steps.some(
    ({ manifest: { kind, spec }, outcome, waitsFor }) =>
      kind === 'Instance' && spec.sshKeys === undefined && (waitsFor || outcome?.action === 'created'),
  );
  const lines = [
    ...steps.map(stepLine),
    keyless ? 'Machines that name no SSH keys get yours; it is made if you have none.' : undefined,
    totalLine(steps),
  ];
  return {
    message: `Apply ${what} at ${name}, project ${project}?`,
    detail: lines.filter((line) => line !== undefined).join('\n'),
    button: 'Apply',
  };
}

/** The plan as a text to read: the sum first, then each document with its fields and, of instances, where and why. */
export function planText(what: string, connection: BrokerConnection, steps: readonly Step[]): string {
  const { name, url, project } = connection.context;
  const total = totalLine(steps);
  const head = [`Plan of ${what}, asked of ${name} (${url}), project ${project}. Nothing was changed.`, '']
    .concat(steps.map(stepLine), total === undefined ? [] : ['', total])
    .join('\n');
  const parts = steps.map(({ manifest, outcome }) => {
    const subject = manifestSubject(manifest);
    const fields = outcome?.differences?.length
      ? `${subject}\n${renderDifferences(outcome.differences)}`
      : '';
    const why = outcome?.decision ? `\n${renderDecision(outcome.decision, { subject, full: true })}` : '';
    return `${fields}${why}`;
  });
  return `${[head, ...parts.filter((part) => part !== '')].join('\n\n')}\n`.replace(/\n+$/, '\n');
}
