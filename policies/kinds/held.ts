import type { ASTNode } from '@marcbachmann/cel-js';
import { interpret } from '../cel/columnar.ts';
import { printCel } from '../cel/print.ts';
import { EVALUATION, reads } from '../cel/schema.ts';
import type { Clause } from '../file/policy.ts';
import { RESOURCE_KINDS } from '../place/types.ts';
import { OFFER_OF_PLACE, REQUEST_OF_ALL, type ResourceRequest } from './known.ts';

type Kind = ResourceRequest['kind'];
const OTHERS = RESOURCE_KINDS.filter((kind) => kind !== 'Instance');

/** The kinds beside machines that a clause can refuse somewhere, by what it reads: `gates` are the policy's `match` and the rule's `when`. */
export function kindsRefused(gates: readonly string[], clause: Clause): Kind[] {
  const asks = (source: string, kind: Kind): Can => canBe(EVALUATION.parse(source).ast, kind);
  const refuses = (kind: Kind): boolean => {
    switch (clause.effect) {
      case 'require':
        return asks(clause.expression, kind).notTrue;
      case 'deny':
        return asks(clause.expression, kind).notFalse;
      default:
        return clause.effect === 'labels' || clause.effect === 'window';
    }
  };
  return OTHERS.filter((kind) => gates.every((gate) => asks(gate, kind).notFalse) && refuses(kind));
}

/** Whether somewhere it is surely not true, or surely not false, whatever a machine there would be. */
interface Can {
  notTrue: boolean;
  notFalse: boolean;
}

function canBe(node: ASTNode, kind: Kind): Can {
  const of = (one: ASTNode): Can => canBe(one, kind);
  switch (node.op) {
    case '&&':
    case '||': {
      const [a, b] = (node.args as [ASTNode, ASTNode]).map(of) as [Can, Can];
      return node.op === '&&'
        ? { notTrue: a.notTrue || b.notTrue, notFalse: a.notFalse && b.notFalse }
        : { notTrue: a.notTrue && b.notTrue, notFalse: a.notFalse || b.notFalse };
    }
    case '!_': {
      const { notTrue, notFalse } = of(node.args as ASTNode);
      return { notTrue: notFalse, notFalse: notTrue };
    }
    case '?:': {
      const [c, a, b] = (node.args as ASTNode[]).map(of) as [Can, Can, Can];
      const side = (which: keyof Can): boolean =>
        (a[which] && b[which]) || (c.notFalse && a[which]) || (c.notTrue && b[which]);
      return { notTrue: side('notTrue'), notFalse: side('notFalse') };
    }
    default:
      return part(node, kind);
  }
}

function part(node: ASTNode, kind: Kind): Can {
  const { request, offer, resource } = reads(node);
  const isKnown =
    resource.size === 0 &&
    [...request].every((name) => REQUEST_OF_ALL.has(name)) &&
    [...offer].every((name) => OFFER_OF_PLACE.has(name));
  if (!isKnown) return { notTrue: false, notFalse: false };
  if (offer.size > 0 || [...request].some((name) => name !== 'kind'))
    return { notTrue: true, notFalse: true };
  const value = interpret(printCel(node))({ kind }, {});
  return { notTrue: value !== 'true', notFalse: value !== 'false' };
}
