import type { ASTNode } from '@marcbachmann/cel-js';
import { interpret } from '../cel/columnar.ts';
import { celRequest, celResource, children, EVALUATION, reads } from '../cel/schema.ts';
import { memo } from '../memo.ts';
import type { EstateMachine, PlacementRequest } from '../place/types.ts';

/** Whether `to` chooses machines of a signature, of which one is given. */
export type Asked = (signature: string, example: EstateMachine) => boolean;

/**
 * `to` for many requests over many machines, evaluated once for each pair that it can tell apart. An error does not choose,
 * as in placement.
 */
export function chooser(to: string, now: Date) {
  const evaluate = interpret(to);
  const { ast } = EVALUATION.parse(to);
  const read = reads(ast);
  const [ofRequest, ofMachine] = [labelsRead(ast, 'request'), labelsRead(ast, 'resource')];
  const requests = new Map<string, { asked: Asked }>();
  return {
    signatureOf: (machine: EstateMachine): string =>
      JSON.stringify(
        [...read.resource].map((name) =>
          name === 'labels' ? ofMachine(machine.labels) : machine[name === 'ageHours' ? 'createdAt' : name],
        ),
      ),
    asked: (request: PlacementRequest): Asked => {
      const values = [...read.request].map((name) =>
        name === 'labels' ? ofRequest(request.labels) : request[name as keyof PlacementRequest],
      );
      return memo(requests, JSON.stringify(values), () => {
        const cel = celRequest(request);
        const known = new Map<string, { chosen: boolean }>();
        const asked: Asked = (signature, example) =>
          memo(known, signature, () => ({
            chosen: evaluate(cel, {}, celResource(example, now)) === 'true',
          })).chosen;
        return { asked };
      }).asked;
    },
  };
}

type Labels = Record<string, string>;

/** What of somebody's labels an expression can tell apart: the values of the keys it names, or all of them. */
function labelsRead(ast: ASTNode, whose: 'request' | 'resource'): (labels: Labels) => unknown {
  const isLabels = (node: ASTNode): boolean =>
    node.op === '.' && node.args[1] === 'labels' && node.args[0].op === 'id' && node.args[0].args === whose;
  const keys = new Set<string>();
  let readsAll = false;
  const walk = (node: ASTNode): void => {
    const key =
      node.op === '.'
        ? node.args[1]
        : node.op === '[]' && node.args[1].op === 'value'
          ? node.args[1].args
          : undefined;
    const of = node.op === '.' || node.op === '[]' ? node.args[0] : undefined;
    if (of && isLabels(of) && typeof key === 'string') keys.add(key);
    else if (isLabels(node)) readsAll = true;
    else children(node).forEach(walk);
  };
  walk(ast);
  const named = [...keys];
  return (labels) =>
    readsAll ? labels : named.map((key) => (Object.hasOwn(labels, key) ? labels[key] : null));
}
