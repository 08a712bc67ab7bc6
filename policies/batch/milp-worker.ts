/** The worker thread of {@link solveWhole}: one mixed-integer programme, then it ends. */
import { parentPort, workerData } from 'node:worker_threads';
import { loadHighs } from './linear.ts';
import type { WholeMessage, WholeTask } from './whole.ts';

const { model: data, gap, nodeLimit, seed } = workerData as WholeTask;
const post = (message: WholeMessage): void => parentPort!.postMessage(message);

const highs = await loadHighs();
highs.withModel(data, (model) => {
  model.options.set({
    output_flag: false,
    random_seed: seed,
    mip_rel_gap: gap,
    mip_abs_gap: 1e-9,
    mip_max_nodes: nodeLimit,
    mip_feasibility_tolerance: 1e-9,
  });
  const { callbackType, modelStatus } = highs.constants;
  const ended = model.run({
    [callbackType.mipImprovingSolution](event) {
      if (event.data.mip_solution) post({ kind: 'improved', values: event.data.mip_solution });
      return undefined;
    },
  }).modelStatus;
  if (ended === modelStatus.infeasible) return post({ kind: 'ended', values: null, bound: null });
  const bound = model.info.get('mip_dual_bound') as number;
  const found = model.info.get('primal_solution_status') === 2;
  post({
    kind: 'ended',
    values: found ? model.getSolution().colValue : null,
    bound: Number.isFinite(bound) && Math.abs(bound) < 1e20 ? bound : null,
  });
});
