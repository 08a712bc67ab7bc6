import { reads, writtenOut } from '../cel/schema.ts';
import { figure } from '../figure.ts';
import { kindsRefused } from '../kinds/held.ts';
import { RESOURCE_KINDS } from '../place/types.ts';
import type { Clause, GroupKey, ParsedPolicy, ParsedRule } from './policy.ts';
import { readable } from './readable.ts';
import { readsResource } from './rules.ts';
import { nextChange, windowOpen } from './window.ts';

/** A rule in plain words; every text is a sentence. */
export interface RuleExplanation {
  policy: string;
  rule: string;
  file: string;
  /** From 1. */
  line: number;
  /** What it does, a sentence for each clause. */
  does: string[];
  /** To which requests, and where, it applies. */
  applies: string;
  /** What it looks at: `request.dataClass`, `offer.jurisdiction`, `the machines that exist`, `the time`. */
  reads: string[];
  /** What holds besides: a missing value, the mode, exceptions, running machines. */
  notes: string[];
  /** How it stands to the rules of the organization, the project and the request. */
  layer: string;
}

/** Says in plain words what each rule of a policy does; `now` tells whether windows are open. */
export function explainPolicy(policy: ParsedPolicy, now: Date): RuleExplanation[] {
  return policy.rules.map((rule) => ({
    policy: policy.name,
    rule: rule.name,
    file: policy.file,
    line: rule.line,
    does: rule.clauses.map((clause) => sentence(clause, now)),
    applies: applies(policy, rule),
    reads: whatIsRead(policy, rule),
    notes: notes(policy, rule, now),
    layer: layer(policy, rule),
  }));
}

function sentence(clause: Clause, now: Date): string {
  switch (clause.effect) {
    case 'require':
    case 'deny': {
      const holds = clause.effect === 'require' ? 'unless' : 'if';
      const whom = readsResource(clause.expression)
        ? 'Finds a running machine in violation'
        : 'Refuses an offer';
      return `${whom} ${holds} ${readable(clause.expression)}.`;
    }
    case 'prefer': {
      const { weight } = clause;
      const what = `Prefers offers with ${readable(clause.expression)}`;
      if (weight.kind === 'strict') return `${what}, before any price.`;
      const dearer =
        weight.kind === 'share' ? `${figure(weight.share * 100)}%` : `${figure(weight.perHour)} USD an hour`;
      return `${what}: any other counts as ${dearer} dearer.`;
    }
    case 'spread': {
      const { by, min, maxShare, group } = clause;
      const parts = [
        min > 1 ? `stand in ${min} ${by}s or more` : '',
        maxShare < 1 ? `have at most ${figure(maxShare * 100)}% of them in one ${by}` : '',
      ].filter((part) => part !== '');
      return `Machines of the same ${keys(group)} ${parts.join(' and ')}.`;
    }
    case 'affinity':
      return `Places the machine in the ${clause.by} of an existing machine with ${readable(clause.to)}.`;
    case 'antiAffinity':
      return `Places the machine in no ${clause.by} that has an existing machine with ${readable(clause.to)}.`;
    case 'gravity':
      return `Adds to the price what it costs to read ${readable(clause.gibPerMonth)} GiB a month from ${clause.at}.`;
    case 'budget':
      return `Refuses what would bring the machines of the same ${keys(clause.group)} above ${figure(clause.limit)} USD a ${clause.per}.`;
    case 'quota':
      return `Refuses what would bring the machines of the same ${keys(clause.group)} above ${figure(clause.limit)} ${clause.resource}.`;
    case 'maxPrice':
      return `Refuses an offer that costs more than ${figure(clause.perHour)} USD an hour.`;
    case 'approval':
      return `Waits for the approval of ${clause.by.join(' or ')}; without an answer in ${span(clause.expiresHours)} the request fails.`;
    case 'ttl': {
      const none =
        clause.defaultHours === null
          ? 'a request must say how long'
          : `${span(clause.defaultHours)} when the request does not say`;
      return `Lets a machine live ${span(clause.maxHours)} at most; ${none}.`;
    }
    case 'labels': {
      const allowed = Object.entries(clause.allowed).map(
        ([key, values]) => `${key} must be ${values.join(' or ')}`,
      );
      const required =
        clause.required.length > 0
          ? [
              `a request must have the label${clause.required.length > 1 ? 's' : ''} ${clause.required.join(', ')}`,
            ]
          : [];
      return capital(`${[...required, ...allowed].join('; where it is given, ')}.`);
    }
    case 'window': {
      const { kind, spans, timeZone } = clause.window;
      const open = windowOpen(clause.window, now) ? 'open' : 'closed';
      const next = nextChange(clause.window, now);
      const until = next === null ? '' : ` until ${next.toISOString().slice(0, 16)}Z`;
      const when = kind === 'deny' ? 'Makes no machine in' : 'Makes machines only in';
      return `${when} ${spans.join(', ')} (${timeZone}); now ${open}${until}.`;
    }
  }
}

function applies(policy: ParsedPolicy, rule: ParsedRule): string {
  const conditions = [policy.match, rule.when].filter((gate) => gate !== null).map(readable);
  return conditions.length === 0 ? 'Always.' : `Where ${conditions.join(' and ')}.`;
}

function whatIsRead(policy: ParsedPolicy, rule: ParsedRule): string[] {
  const found = new Set<string>();
  const expression = (source: string | null): void => {
    const ast = source === null ? null : writtenOut(source);
    if (ast === null) return;
    const { request, offer, resource } = reads(ast);
    for (const [root, names] of Object.entries({ request, offer, resource }))
      for (const name of names) found.add(`${root}.${name}`);
  };
  const machines = 'the machines that exist';
  expression(policy.match);
  expression(rule.when);
  for (const clause of rule.clauses)
    switch (clause.effect) {
      case 'require':
      case 'deny':
      case 'prefer':
        expression(clause.expression);
        break;
      case 'affinity':
      case 'antiAffinity':
        expression(clause.to);
        found.add(machines);
        break;
      case 'gravity':
        expression(clause.gibPerMonth);
        found.add('offer.region');
        break;
      case 'spread':
      case 'quota':
        found.add(machines);
        break;
      case 'budget':
        found.add(machines).add('offer.pricePerHour');
        break;
      case 'maxPrice':
        found.add('offer.pricePerHour');
        break;
      case 'ttl':
        found.add('request.ttlHours');
        break;
      case 'labels':
        found.add('request.labels');
        break;
      case 'window':
        found.add('the time');
    }
  return [...found];
}

function notes(policy: ParsedPolicy, rule: ParsedRule, now: Date): string[] {
  const out: string[] = [];
  if (policy.mode !== 'enforce')
    out.push(`The policy's mode is ${policy.mode}: nothing is refused, only counted.`);
  if (rule.missing === 'pass') out.push('A value that is missing lets the offer pass.');
  else if (rule.clauses.some(({ effect }) => effect === 'require' || effect === 'deny'))
    out.push('A value that is missing refuses, unless the rest decides without it.');
  if (rule.onViolation !== 'report') {
    const does = { approve: 'replaced once approved', replace: 'replaced', stop: 'stopped' }[
      rule.onViolation
    ];
    out.push(`A running machine found against it is ${does}.`);
  }
  const others = forOthers(policy, rule);
  if (others !== null) out.push(others);
  if (rule.owner !== null) out.push(`${rule.owner} answers for violations.`);
  for (const { rule: named, owner, reason, expires, match } of policy.exceptions)
    if (named === rule.name && Date.parse(expires) > now.getTime()) {
      const whom = match === null ? 'every request' : `requests with ${readable(match)}`;
      out.push(`Set aside for ${whom} until ${expires.slice(0, 16)}Z by ${owner}: ${reason}.`);
    }
  return out;
}

/** Whether it also refuses what is no machine; null for a rule whose effects are all about machines anyway. */
function forOthers(policy: ParsedPolicy, rule: ParsedRule): string | null {
  const gates = [policy.match, rule.when].filter((gate) => gate !== null);
  const clauses = rule.clauses.filter(
    (clause) =>
      ['labels', 'window'].includes(clause.effect) ||
      ((clause.effect === 'require' || clause.effect === 'deny') && !readsResource(clause.expression)),
  );
  if (clauses.length === 0 || gates.some(readsResource)) return null;
  const kinds = new Set(clauses.flatMap((clause) => kindsRefused(gates, clause)));
  if (kinds.size === 0) return 'About machines only: it says nothing about volumes and other kinds.';
  const names = kinds.size === RESOURCE_KINDS.length - 1 ? 'volumes and other kinds' : [...kinds].join(', ');
  return `Holds for ${names} too, as far as it follows from the place and the request.`;
}

function layer({ scope }: ParsedPolicy, rule: ParsedRule): string {
  if (scope.kind === 'organization')
    return rule.overridable
      ? `Holds for every project of organization ${scope.name}; a project may put its own rule '${rule.name}' in its place, with override: true.`
      : `Holds for every project of organization ${scope.name}; neither a project nor a request can relax it.`;
  return rule.override
    ? `Holds for project ${scope.name}, in place of the organization's rule '${rule.name}' if that is overridable.`
    : `Holds for project ${scope.name}, beside the organization's rules; a request cannot relax it.`;
}

function keys(group: readonly GroupKey[]): string {
  return group.join(' and ');
}

function span(hours: number): string {
  if (hours % 24 === 0 && hours > 72) return `${hours / 24} days`;
  return hours < 1 ? `${figure(hours * 60)} minutes` : `${figure(hours)} hours`;
}

function capital(text: string): string {
  return `${text[0]!.toUpperCase()}${text.slice(1)}`;
}
