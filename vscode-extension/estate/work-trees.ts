/** What goes on and what waits for people: operations, violations and approvals, each a flat list. */
import type { Operation, Schemas } from '@landfall/model';
import { age, moment, pricePerHour, pricePerMonth } from '@landfall/model/quantities.ts';
import { type Estate, isOpen, type ListName } from './estate.ts';
import type { PagedList } from './paged-list.ts';
import { dotted, fields, nodesOf, type Tree, type TreeNode, Windows } from './tree.ts';

/** A tree of one list. */
function flat<T>(
  estate: Estate,
  kind: ListName['kind'],
  list: PagedList<T>,
  node: (item: T) => TreeNode,
): Tree {
  const windows = new Windows();
  return {
    children: (parent) => (parent ? Promise.resolve([]) : nodesOf(list, undefined, node, windows)),
    listen: (listener) => {
      const endWindows = windows.listen(listener);
      const endList = estate.listen({
        list: (name, { changed, structural }) => {
          if (name.kind === kind)
            listener({ nodes: (changed as T[]).map(node), parents: structural ? [undefined] : [] });
        },
      });
      return () => {
        endWindows();
        endList();
      };
    },
  };
}

/** The view `Operations`: newest first. */
export const operationsTree = (estate: Estate): Tree =>
  flat(estate, 'Operation', estate.operations, operationNode);

/** The view `Violations`: those that stand. */
export const violationsTree = (estate: Estate): Tree =>
  flat(estate, 'Violation', estate.violations, violationNode);

/** The view `Approvals`: those that requests wait for. */
export const approvalsTree = (estate: Estate): Tree =>
  flat(estate, 'Approval', estate.approvals, approvalNode);

const operationIcons: Record<Operation['state'], Pick<TreeNode, 'icon' | 'color'>> = {
  Pending: { icon: 'clock' },
  Running: { icon: 'loading~spin' },
  Succeeded: { icon: 'pass', color: 'testing.iconPassed' },
  Failed: { icon: 'error', color: 'problemsErrorIcon.foreground' },
  Cancelled: { icon: 'circle-slash' },
};

/** What the broker cancels. */
const cancellable = new Set<Operation['verb']>(['create', 'replace', 'adopt']);

function operationNode(operation: Operation): TreeNode {
  const { id, verb, resource, state, message } = operation;
  const now = Date.now();
  return {
    id: `operation/${id}`,
    label: resource ? `${verb} ${resource.name}` : verb,
    description: dotted(
      !isOpen(operation) && state,
      message,
      isOpen(operation) && age(operation.createdAt, now),
    ),
    tooltip: fields([
      ['Operation', id],
      ['Of', resource ? `${resource.kind} ${resource.name}` : undefined],
      ['State', state],
      ['Message', message],
      ['Project', operation.project],
      ['Requested by', operation.requestedBy],
      ['Requested', moment(operation.createdAt, now)],
      ['Started', moment(operation.startedAt, now)],
      ['Ended', moment(operation.finishedAt, now)],
    ]),
    ...operationIcons[state],
    context: `operation ${state}${isOpen(operation) && cancellable.has(verb) ? ' cancellable' : ''}`,
    opens: 'never',
    subject: operation,
  };
}

function violationNode(violation: Schemas['Violation']): TreeNode {
  const { id, resource, policy, rule, message, state, mode } = violation;
  const now = Date.now();
  return {
    id: `violation/${id}`,
    label: resource.name,
    description: dotted(`${policy}/${rule}`, message, state !== 'Open' && state),
    tooltip: fields([
      ['Instance', resource.name],
      ['Rule', `${policy}/${rule} (line ${violation.line})`],
      ['Message', message],
      ['State', state],
      ['Mode', mode],
      ['Owner', violation.owner],
      ['Action', dotted(violation.action, violation.actionState !== 'None' && violation.actionState)],
      ['', violation.actionMessage],
      [
        'Acknowledged',
        violation.acknowledged ? `${violation.acknowledged.by}: ${violation.acknowledged.reason}` : undefined,
      ],
      ['First seen', moment(violation.firstSeenAt, now)],
    ]),
    icon: state === 'Open' ? 'law' : 'eye',
    color: state === 'Open' && mode === 'enforce' ? 'problemsErrorIcon.foreground' : undefined,
    context: `violation ${state}`,
    opens: 'never',
    subject: violation,
  };
}

function approvalNode(approval: Schemas['Approval']): TreeNode {
  const { id, resource, policy, rule, offer, by, requestedBy } = approval;
  return {
    id: `approval/${id}`,
    label: resource.name,
    description: dotted(
      `${policy}/${rule}`,
      `${pricePerMonth(offer.pricePerMonth, offer.currency)}/month`,
      `asked by ${requestedBy.join(', ')}`,
    ),
    tooltip: fields([
      ['Request', `${resource.kind} ${resource.name} of ${approval.project}`],
      ['Rule', `${policy}/${rule}`],
      ['Message', approval.message],
      ['Place', dotted(offer.provider, offer.region, offer.host, offer.instanceType)],
      [
        'Price',
        dotted(
          `${pricePerHour(offer.pricePerHour, offer.currency)} an hour`,
          `${pricePerMonth(offer.pricePerMonth, offer.currency)} a month`,
        ),
      ],
      ['May approve', by.join(' or ')],
      ['Asked by', requestedBy.join(', ')],
      ['Expires', moment(approval.expiresAt, Date.now())],
    ]),
    icon: 'checklist',
    color: 'notificationsWarningIcon.foreground',
    context: 'approval',
    opens: 'never',
    subject: approval,
  };
}
