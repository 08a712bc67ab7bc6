import type { ASTNode } from '@marcbachmann/cel-js';
import { interpret } from '../cel/columnar.ts';
import { printCel } from '../cel/print.ts';
import { EVALUATION, reads } from '../cel/schema.ts';
import { type Asked, REQUEST_OF_ALL } from './known.ts';

/**
 * The values that a condition may have when a part of what it reads could be anything: a set of CEL's three, as bits. Of
 * `offer.jurisdiction == "EU" && !offer.burstable` in the US it is false alone, whatever a machine there would be; in the EU it
 * is any of them.
 */
export type Possible = number;
export const MAY = { true: 1, false: 2, error: 4 } as const;
const ANY = MAY.true | MAY.false | MAY.error;

/** The opposite of each. */
export function not(a: Possible): Possible {
  return (a & MAY.true ? MAY.false : 0) | (a & MAY.false ? MAY.true : 0) | (a & MAY.error);
}

/** CEL's `&&`: false where a side is false, else an error where a side is one. */
export function and(a: Possible, b: Possible): Possible {
  return (
    ((a | b) & MAY.false) |
    (a & b & MAY.true) |
    ((a & MAY.error && b & ~MAY.false) || (b & MAY.error && a & ~MAY.false) ? MAY.error : 0)
  );
}

export function or(a: Possible, b: Possible): Possible {
  return not(and(not(a), not(b)));
}

/** The values that a checked expression without variables may have for a resource at a place. */
export function possibleValues(source: string): (asked: Asked) => Possible {
  return build(EVALUATION.parse(source).ast);
}

function build(node: ASTNode): (asked: Asked) => Possible {
  switch (node.op) {
    case '&&':
    case '||': {
      const [left, right] = (node.args as [ASTNode, ASTNode]).map(build) as [Build, Build];
      const join = node.op === '&&' ? and : or;
      return (asked) => join(left(asked), right(asked));
    }
    case '!_': {
      const operand = build(node.args as ASTNode);
      return (asked) => not(operand(asked));
    }
    case '?:': {
      const [condition, one, other] = (node.args as ASTNode[]).map(build) as [Build, Build, Build];
      return (asked) => {
        const when = condition(asked);
        return (
          (when & MAY.true ? one(asked) : 0) | (when & MAY.false ? other(asked) : 0) | (when & MAY.error)
        );
      };
    }
    default:
      return part(node);
  }
}

type Build = (asked: Asked) => Possible;

function part(node: ASTNode): Build {
  const { request, offer } = reads(node);
  const isOfMachines = [...request].some((name) => !REQUEST_OF_ALL.has(name));
  if (isOfMachines) return () => ANY;
  const evaluate = interpret(printCel(node));
  return ({ request: cel, place, ofPlace }) =>
    [...offer].every((name) => ofPlace.has(name)) ? MAY[evaluate(cel, place)] : ANY;
}
