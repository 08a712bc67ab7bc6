/** `landfall adopt --all`: everything that sites have without Landfall, each as an operation of its own. */
import type { Operation, Schemas } from '@landfall/model';
import { count, pricePerMonth } from '@landfall/model/quantities.ts';
import { type Candidate, candidatesOf, costWords, readPrices } from '../adoption.ts';
import { body, idempotencyKey } from '../connection/broker.ts';
import { exitCodes, ProblemError } from '../errors.ts';
import { instanceKind, type Kind, kindNamed } from '../kinds.ts';
import { printable } from '../output/colours.ts';
import { type Column, renderTable } from '../output/table.ts';
import { confirmed } from '../prompt.ts';
import type { Session } from '../session.ts';
import { ended, type Pending, waitForOperations } from '../waiting.ts';
import { type Discoverable, sizeOf, type Unmanaged, unmanagedOf } from './discover.ts';
import { labelsOf } from './labels.ts';
import type { WaitFlags } from './lifecycle.ts';
import { parseTimeout } from './operation.ts';

/** Flags of `adopt --all`. */
export interface AdoptAllFlags extends WaitFlags {
  site?: string;
  /** Of what is to be adopted: its name at the provider, with `*` and `?`. */
  name?: string;
  /** Of what is to be adopted: its tags or labels. */
  selector?: string;
  /** To be given to each. */
  labels?: string;
  /** Of images: whom one logs in as. */
  user?: string;
  dryRun?: boolean;
  yes?: boolean;
}

/** One that is to be adopted, and what came of it. */
interface Adopting extends Candidate {
  operation?: Operation;
  /** Why it was not adopted. */
  error?: string;
  /** Somebody else was faster, or an earlier run of this: nothing is left to do. */
  isManaged?: boolean;
}

/** Lists what would be adopted and what it costs, asks once, and adopts each; one that fails keeps no other from it. */
export async function adoptAll(
  session: Session,
  kind: Discoverable | undefined,
  flags: AdoptAllFlags,
): Promise<number> {
  const { items, isWhole } = await unmanagedOf(session, kind, flags.site);
  const matching = items.filter(matcher(flags));
  const able = await attachedToOurs(
    session,
    matching.filter(
      ({ refused, kind: each }) => refused === undefined && (each !== 'Image' || flags.user !== undefined),
    ),
  );
  for (const item of matching) {
    if (able.includes(item)) continue;
    const why = item.refused ?? whyLeftOut(item);
    session.notice(`${printable(item.externalReference)}: left out: ${printable(why)}`);
  }
  const candidates: Adopting[] = [];
  for (const [each, alike] of Map.groupBy(able, (item) => item.kind as Discoverable))
    candidates.push(...(await named(session, each, alike)));
  await readPrices(session.broker.client, candidates);
  const unread: number = isWhole ? exitCodes.ok : exitCodes.failed;
  if (candidates.length === 0) {
    if (session.structured) session.outStructured({ items: [] });
    else session.notice('Nothing to adopt.');
    return unread;
  }
  if (!session.structured) session.out(renderTable(columns, candidates, { paint: session.paint }));
  if (!session.structured) session.notice(`${[counts(candidates), ...costWords(candidates)].join(', ')}.`);
  if (flags.dryRun) {
    if (session.structured) session.outStructured({ items: candidates.map(resultOf) });
    return unread;
  }
  const question = `Adopt ${candidates.length === 1 ? 'it' : 'all of them'} into project ${session.broker.project}?`;
  if (!(await confirmed(session, question, flags))) {
    session.notice('Nothing was adopted.');
    return exitCodes.failed;
  }
  const pending: Pending[] = [];
  for (const candidate of candidates) {
    await ask(session, candidate, flags);
    const { operation } = candidate;
    if (operation) pending.push({ subject: subjectOf(candidate), operation });
  }
  if (flags.wait) {
    const ends = await waitForOperations(session, pending, parseTimeout(flags.timeout));
    const byId = new Map(ends.map((end) => [end.id, end]));
    for (const candidate of candidates) {
      const end = candidate.operation && byId.get(candidate.operation.id);
      if (!end) continue;
      candidate.operation = end;
      if (end.state !== 'Succeeded') candidate.error = end.error?.detail ?? end.message;
    }
  }
  if (session.structured) session.outStructured({ items: candidates.map(resultOf) });
  session.notice(summary(candidates));
  return candidates.some(({ error }) => error !== undefined) ? exitCodes.failed : unread;
}

/** Without what is attached to a machine that neither is Landfall's nor becomes so with this: the broker would refuse it. */
async function attachedToOurs(session: Session, items: Unmanaged[]): Promise<Unmanaged[]> {
  if (items.every(({ attachedTo }) => attachedTo === undefined)) return items;
  const instances = await instanceKind.list(session.broker, {});
  const ours = new Set([
    ...instances.map(({ status }) => status.externalReference),
    ...items.filter(({ kind }) => kind === 'Instance').map(({ externalReference }) => externalReference),
  ]);
  return items.filter(({ attachedTo }) => attachedTo === undefined || ours.has(attachedTo));
}

function whyLeftOut({ kind, attachedTo }: Unmanaged): string {
  return kind === 'Image'
    ? 'say whom one logs in as on what is made from it: --user NAME'
    : `it is attached to ${attachedTo}, which is not Landfall's`;
}

/** `2 instances, 1 volume`. */
function counts(candidates: Adopting[]): string {
  const kinds = Map.groupBy(candidates, ({ item }) => kindFor(item.kind));
  return [...kinds]
    .map(([{ singular, plural }, { length }]) => `${count(length)} ${length === 1 ? singular : plural}`)
    .join(', ');
}

/** What the project has of it. */
const kindFor = (kind: string): Kind<unknown> => kindNamed(kind === 'Image' ? 'CustomImage' : kind);

const subjectOf = ({ item, name }: Adopting): string => `${kindFor(item.kind).singular}/${name}`;

const columns: Column<Adopting>[] = [
  { header: 'KIND', cell: ({ item }) => item.kind },
  { header: 'NAME', cell: ({ name }) => name },
  { header: 'AT THE PROVIDER', cell: ({ item }) => item.name },
  { header: 'SITE', cell: ({ item }) => item.site },
  { header: 'REGION', cell: ({ item }) => item.region },
  { header: 'SIZE', cell: ({ item }) => sizeOf(item) },
  { header: 'STATE', state: true, cell: ({ item }) => item.power ?? item.state },
  {
    header: 'PRICE/MONTH',
    align: 'right',
    cell: ({ price: known }) => pricePerMonth(known?.pricePerMonth, known?.currency),
  },
  { header: 'REFERENCE', cell: ({ item }) => item.externalReference },
];

function matcher({ name, selector }: AdoptAllFlags): (item: Unmanaged) => boolean {
  const pattern =
    name === undefined
      ? /^/
      : new RegExp(
          `^${name
            .replace(/[.+^${}()|[\]\\]/g, '\\$&')
            .replaceAll('*', '.*')
            .replaceAll('?', '.')}$`,
        );
  const wanted = Object.entries(labelsOf(selector, '--selector') ?? {});
  return (item) =>
    pattern.test(item.name ?? item.externalReference) &&
    wanted.every(([key, value]) => item.labels[key] === value);
}

/** Their names in the project. */
async function named(session: Session, kind: Discoverable, items: Unmanaged[]): Promise<Adopting[]> {
  const managed = kindFor(kind);
  const taken = new Set((await managed.list(session.broker, {})).map((one) => managed.name(one)));
  return candidatesOf(items, (name) => taken.has(name));
}

/** What is wrong with one says nothing of the others. */
const ofOneAlone = new Set<number>([
  exitCodes.usage,
  exitCodes.refused,
  exitCodes.conflict,
  exitCodes.unreachable,
]);

async function ask(
  session: Session,
  candidate: Adopting,
  flags: Pick<AdoptAllFlags, 'labels' | 'user'>,
): Promise<void> {
  const { broker } = session;
  const labels = labelsOf(flags.labels);
  const { item, name } = candidate;
  const { site, externalReference } = item;
  const subject = subjectOf(candidate);
  const kind = item.kind as Discoverable;
  try {
    candidate.operation = await body(
      broker.client.POST('/v1/projects/{project}/adoptions', {
        params: { path: { project: broker.project }, header: idempotencyKey() },
        body: {
          ...{ kind, site, externalReference, name },
          ...(kind === 'Image' ? { user: flags.user } : {}),
          ...(labels ? { labels } : {}),
        },
      }),
    );
    if (!session.structured)
      session.out(`${subject} adopting ${printable(externalReference)} at site/${site}\n`);
  } catch (error) {
    if (!(error instanceof ProblemError)) throw error;
    if (!ofOneAlone.has(error.exitCode)) throw error;
    candidate.isManaged = isManaged(error.problem);
    if (candidate.isManaged)
      return session.notice(`${printable(externalReference)}: ${printable(error.message)}`);
    candidate.error = error.message;
    session.notice(`${subject}: ${printable(error.message)}`);
  }
}

const isManaged = ({ errors = [] }: Schemas['Problem']): boolean =>
  errors.some(({ pointer, message }) => pointer === '/externalReference' && message === 'is managed already');

function resultOf({ item, name, price: known, operation, error, isManaged: skipped }: Adopting): object {
  const { site, externalReference } = item;
  const result = error
    ? 'failed'
    : skipped
      ? 'managed'
      : operation
        ? ended(operation)
          ? 'adopted'
          : 'adopting'
        : 'found';
  return {
    ...{ kind: item.kind, name, site, externalReference, result },
    ...(known ? { pricePerMonth: known.pricePerMonth, currency: known.currency } : {}),
    ...(operation ? { operation: operation.id } : {}),
    ...(error ? { error } : {}),
  };
}

function summary(candidates: Adopting[]): string {
  const failed = candidates.filter(({ error }) => error !== undefined).length;
  const skipped = candidates.filter((one) => one.isManaged).length;
  const begun = candidates.filter(({ error, operation }) => error === undefined && operation);
  const done = begun.filter(({ operation }) => ended(operation!)).length;
  const parts = [
    ...(done > 0 ? [`${done} adopted`] : []),
    ...(begun.length > done ? [`${begun.length - done} being adopted`] : []),
    ...(skipped > 0 ? [`${skipped} managed already`] : []),
    ...(failed > 0 ? [`${failed} failed`] : []),
  ];
  return `${parts.join(', ')}.`;
}
