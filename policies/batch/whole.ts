import type { Highs, ModelData } from 'highs';

/** A mixed-integer programme and when to stop: at a relative gap or after so many nodes, never after a time. */
export interface WholeTask {
  model: ModelData;
  gap: number;
  nodeLimit: number;
  seed: number;
}

/** What it came to. `values` null: no solution was found. `bound`: no solution is better; null = not known. */
export interface WholeAnswer {
  values: Float64Array | null;
  bound: number | null;
}

/**
 * Solves a mixed-integer programme, which may take long: a thread's work. Each better solution is given to `improved` as
 * it comes; once that answers true, the search ends.
 */
export function solveWhole(
  highs: Highs,
  { model: data, gap, nodeLimit, seed }: WholeTask,
  improved: (values: Float64Array) => boolean,
): WholeAnswer {
  return highs.withModel(data, (model) => {
    model.options.set({
      output_flag: false,
      random_seed: seed,
      mip_rel_gap: gap,
      mip_abs_gap: 1e-9,
      mip_max_nodes: nodeLimit,
      mip_feasibility_tolerance: 1e-9,
    });
    const { callbackType, modelStatus } = highs.constants;
    let enough = false;
    const ended = model.run({
      [callbackType.mipImprovingSolution](event) {
        if (!enough && event.data.mip_solution) enough = improved(event.data.mip_solution);
        return undefined;
      },
      [callbackType.mipInterrupt](event) {
        if (enough) event.interrupt();
        return undefined;
      },
    }).modelStatus;
    if (ended === modelStatus.infeasible) return { values: null, bound: null };
    const bound = model.info.get('mip_dual_bound') as number;
    const found = model.info.get('primal_solution_status') === 2;
    return {
      values: found ? model.getSolution().colValue : null,
      bound: Number.isFinite(bound) && Math.abs(bound) < 1e20 ? bound : null,
    };
  });
}
