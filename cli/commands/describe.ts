/** `landfall describe`: everything about one thing, in sections. */
import type { Decision, Event, Instance, Operation, Schemas } from '@landfall/model';
import { duration, type StepRow, stepRows } from '@landfall/model/operation-steps.ts';
import { age, count, gib, moment, number, pricePerHour, pricePerMonth } from '@landfall/model/quantities.ts';
import { type Broker, body } from '../connection/broker.ts';
import { exitCodes, usageError } from '../errors.ts';
import { subject } from '../kind-columns.ts';
import { eventKind, kindNamed, violationKind } from '../kinds.ts';
import { type Paint, printable } from '../output/colours.ts';
import { yaml } from '../output/formats.ts';
import { type Column, renderFields, renderTable } from '../output/table.ts';
import type { Session } from '../session.ts';
import { getOne, kindAndNames } from './get.ts';
import { decisionOf } from './placement.ts';

/** Describes the named things. */
export async function describe(session: Session, kindWord: string, given: string[]): Promise<number> {
  const [kind, names] = kindAndNames(kindWord, given);
  if (names.length === 0)
    throw usageError(`Which ${kind.singular}?`, `\`landfall get ${kind.plural}\` lists them.`);
  const { broker } = session;
  let separator = '';
  for (const name of names) {
    const item = await getOne(broker, kind, name);
    const steps = kind.kind === 'Operation' ? await stepsOf(broker, (item as Operation).id) : undefined;
    if (session.structured) {
      session.outStructured(
        steps ? { ...(item as Operation), steps: steps.items, stepsLeftOut: steps.leftOut } : item,
      );
      continue;
    }
    session.out(separator);
    separator = '\n';
    if (kind.kind === 'Instance') session.out(await describeInstance(session, broker, item as Instance));
    else if (kind.kind === 'Site' || kind.kind === 'Host')
      session.out(describePlace(kind.kind, item as Schemas['Site'] | Schemas['Host'], session.paint));
    else session.out(describeAny(kind.kind, item as Record<string, unknown>, session.paint));
    if (steps) session.out(renderSteps(steps, (item as Operation).createdAt, session.paint));
    if (kind.kind !== 'Instance' && kind.kind !== 'Decision') {
      const id = (item as { id?: string }).id;
      // What happens to a violation or an approval is told of its machine.
      const about =
        kind.kind === 'Violation' || kind.kind === 'Approval'
          ? (item as { resource: { id: string } }).resource.id
          : id;
      const filter = kind.kind === 'Operation' ? `operation=${id}` : `resource=${about}`;
      session.out(renderEvents(await eventKind.list(broker, { filter, limit: 20 }), session.paint));
    }
  }
  return exitCodes.ok;
}

async function describeInstance(session: Session, broker: Broker, instance: Instance): Promise<string> {
  const { paint } = session;
  const now = Date.now();
  const { spec, status } = instance;
  const [decision, violations, events] = await Promise.all([
    decisionOf(broker, instance),
    violationKind.list(broker, { filter: `resource=${instance.id} AND state!=Resolved`, limit: 20 }),
    eventKind.list(broker, { filter: `resource=${instance.id}`, limit: 20 }),
  ]);
  const section = (title: string, content: string): string =>
    content === '' ? '' : `${paint('bold', title)}\n${content}`;
  const labels = Object.entries(instance.labels).map(([name, value]) => `${name}=${value}`);
  const generation =
    status.observedGeneration === instance.generation
      ? String(instance.generation)
      : `${instance.generation} (reached: ${status.observedGeneration})`;
  const { placement, userDataDigest } = spec;
  return [
    section(
      `Instance ${instance.name}`,
      renderFields(
        [
          ['State', status.state],
          ['Message', status.message],
          ['Project', instance.project],
          ['Labels', labels.join('\n')],
          ['Created', moment(instance.createdAt, now)],
          ['Ready', moment(status.readyAt, now)],
          [
            'Last repair',
            status.lastRepair && `${status.lastRepair.message}\n${moment(status.lastRepair.at, now)}`,
          ],
          ['Expires', moment(status.expiresAt, now)],
          ['Deletion asked', moment(instance.deletedAt, now)],
          ['Generation', generation],
          ['Id', instance.id],
        ],
        paint,
      ),
    ),
    section(
      'Wanted',
      renderFields(
        [
          ['Image', spec.image],
          [
            'Size',
            `${spec.vcpus} vCPU, ${gib(spec.memoryGiB)} memory, ${gib(spec.diskGiB)} disk`.replace(
              ', undefined disk',
              '',
            ),
          ],
          ['Instance type', spec.instanceType],
          ['GPU', spec.gpu ? `${spec.gpu.count} ${spec.gpu.name ?? ''}`.trim() : undefined],
          ['Architecture', spec.architecture],
          ['Market', spec.market],
          ['Data class', spec.dataClass],
          ['Power', spec.power],
          ['SSH keys', spec.sshKeys?.join(', ')],
          ['Public address', spec.publicAddress ? 'yes' : undefined],
          ['TTL', spec.ttl],
          ['Placement', placement && Object.keys(placement).length ? yaml(placement).trimEnd() : undefined],
          ['User data', userDataDigest],
        ],
        paint,
      ),
    ),
    section(
      'Where',
      renderFields(
        [
          ['Provider', status.provider],
          ['Site', status.site],
          ['Region', status.region],
          ['Zone', status.zone],
          ['Host', status.host],
          ['Instance type', status.instanceType],
          [
            'Size',
            status.vcpus === undefined ? undefined : `${number(status.vcpus)} vCPU, ${gib(status.memoryGiB)}`,
          ],
          ['Market', status.market],
          ['Attempt', number(status.attempt)],
          ['External reference', status.externalReference],
          ['Children', status.children?.join('\n')],
        ],
        paint,
      ),
    ),
    section(
      'Why',
      decision
        ? `${whyLines(decision)}  ${paint('dim', `landfall explain instance ${instance.name} shows it all`)}\n`
        : '',
    ),
    section(
      'Violations',
      violations.length > 0 ? renderTable(violationColumns, violations, { paint, indent: '  ' }) : '',
    ),
    section(
      'Addresses',
      renderFields(
        [
          ...(status.addresses ?? []).map(({ type, address }): [string, string] => [
            type === 'external' ? 'External' : 'Internal',
            address,
          ]),
          [
            'SSH',
            status.ssh
              ? `${status.ssh.user}@${status.ssh.host} port ${status.ssh.port}  (landfall ssh ${instance.name})`
              : undefined,
          ],
        ],
        paint,
      ),
    ),
    section(
      'Cost',
      renderFields(
        [
          ['Per hour', pricePerHour(status.pricePerHour, status.currency)],
          [
            'Per month',
            status.pricePerMonth === undefined
              ? undefined
              : `${pricePerMonth(status.pricePerMonth, status.currency)} (730 hours)`,
          ],
        ],
        paint,
      ),
    ),
    section(
      'Metrics',
      renderFields(
        Object.entries(status.metrics ?? {}).map(([name, value]) => [name, String(value)]),
        paint,
      ),
    ),
    renderEvents(events, paint),
  ]
    .filter((part) => part !== '')
    .join('');
}

function whyLines({ winner, compliant, considered, reasons }: Decision): string {
  const sum = winner
    ? `the cheapest of ${count(compliant)} compliant offers (${count(considered)} considered)`
    : `no offer complies (${count(considered)} considered)`;
  return [sum, ...reasons].map((line) => `  ${printable(line)}\n`).join('');
}

const violationColumns: Column<Schemas['Violation']>[] = [
  { header: 'RULE', cell: (item) => `${item.policy}/${item.rule}` },
  { header: 'STATE', state: true, cell: (item) => item.state },
  { header: 'SINCE', cell: (item, now) => age(item.firstSeenAt, now) },
  { header: 'MESSAGE', cell: (item) => item.message },
];

const eventColumns: Column<Event>[] = [
  { header: 'AGE', cell: (item, now) => age(item.time, now) },
  { header: 'TYPE', cell: (item) => item.type },
  { header: 'MESSAGE', cell: (item) => item.message },
];

function renderEvents(events: Event[], paint: Paint): string {
  if (events.length === 0) return '';
  return `${paint('bold', 'Events')}\n${renderTable(eventColumns, events, { paint, indent: '  ' })}`;
}

function stepsOf({ client }: Broker, operation: string): Promise<Schemas['OperationStepList']> {
  return body(client.GET('/v1/operations/{operation}/steps', { params: { path: { operation } } }));
}

const stepColumns: Column<StepRow & { after: string }>[] = [
  { header: 'AFTER', cell: ({ after }) => after },
  { header: 'STEP', cell: ({ step }) => step || ' ' },
  { header: 'PROVIDER', cell: ({ provider }) => provider },
];

/** What was done at the providers: each step, and under it its calls. */
export function renderSteps(
  { items, leftOut }: Schemas['OperationStepList'],
  createdAt: string,
  paint: Paint,
): string {
  if (items.length === 0) return '';
  const rows = stepRows(items).map((row) => ({
    ...row,
    after: `+${duration(row.at - Date.parse(createdAt))}`,
  }));
  const older = leftOut > 0 ? `  ${leftOut} older ones are left out\n` : '';
  return `${paint('bold', 'Steps')}\n${older}${renderTable(stepColumns, rows, { paint, indent: '  ' })}`;
}

/** A site or a host: what it can do is a table of its own. */
export function describePlace(
  kind: 'Site' | 'Host',
  place: Schemas['Site'] | Schemas['Host'],
  paint: Paint,
): string {
  if ('status' in place) {
    const { capabilities = [], ...status } = place.status;
    return describeAny(kind, { ...place, status }, paint) + canDo(capabilities, paint);
  }
  const { capabilities = [], ...host } = place;
  return describeAny(kind, host, paint) + canDo(capabilities, paint);
}

/** A row for the verbs of a kind that can be done, and one for each reason why others cannot. */
function canDo(capabilities: Schemas['Capability'][], paint: Paint): string {
  if (capabilities.length === 0) return '';
  const rows = capabilities.flatMap(({ kind, verbs }) => {
    const because = new Map<string, string[]>();
    for (const [verb, can] of Object.entries(verbs).sort(([a], [b]) => a.localeCompare(b))) {
      const reason = can === true ? '' : can.reason;
      because.set(reason, [...(because.get(reason) ?? []), verb]);
    }
    return [...because]
      .sort(([a], [b]) => Number(a !== '') - Number(b !== ''))
      .map(([reason, named]) => ({
        kind,
        can: reason === '' ? 'yes' : 'no',
        verbs: named.join(', '),
        reason,
      }));
  });
  return `${paint('bold', 'Can do')}\n${renderTable(capabilityColumns, rows, { paint, indent: '  ' })}`;
}

const capabilityColumns: Column<{ kind: string; can: string; verbs: string; reason: string }>[] = [
  { header: 'KIND', cell: (row) => row.kind },
  { header: 'CAN', cell: (row) => row.can },
  { header: 'VERBS', cell: (row) => row.verbs },
  { header: 'REASON', cell: (row) => row.reason },
];

/** Any other kind: its plain fields first, then a section for each of its maps and lists. */
export function describeAny(kind: string, item: Record<string, unknown>, paint: Paint): string {
  const now = Date.now();
  const plain: [string, string][] = [];
  const sections: string[] = [];
  for (const [field, value] of Object.entries(item)) {
    const title = title1(field);
    if (field === 'kind' || value === null || value === undefined) continue;
    if (field === 'resource') plain.push([title, subject(value as Event['resource']) ?? '']);
    else if (typeof value === 'object') {
      if (Object.keys(value).length > 0) sections.push(`${paint('bold', title)}\n${indent(yaml(value))}`);
    } else if (typeof value === 'string' && value.includes('\n'))
      sections.push(`${paint('bold', title)}\n${indent(value)}`);
    else if (/At$/.test(field)) plain.push([title.replace(/ at$/, ''), moment(String(value), now) ?? '']);
    else plain.push([title, String(value)]);
  }
  const name = item.name ?? item.id ?? '';
  return `${paint('bold', `${kindNamed(kind).kind} ${String(name)}`)}\n${renderFields(plain, paint)}${sections.join('')}`;
}

function title1(field: string): string {
  const words = field.replaceAll(/([a-z])([A-Z])/g, '$1 $2').toLowerCase();
  return words[0]!.toUpperCase() + words.slice(1);
}

function indent(text: string): string {
  return text
    .trimEnd()
    .split('\n')
    .map((line) => `  ${printable(line)}\n`)
    .join('');
}
