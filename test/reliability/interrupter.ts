import type { ActivityInboundCallsInterceptor, WorkerInterceptors } from '@temporalio/worker';

/** What happens to activities: each runs twice; or the nth fails, before or after its effect. */
export type Interruption = { mode: 'twice' } | { mode: 'before' | 'after'; nth: number };

/** Interrupts the activities of an estate from outside, whatever they are. */
export interface Interrupter {
  interceptors: WorkerInterceptors;
  /** From now on; the count of activities starts again. */
  interrupt(given: Interruption | undefined): void;
  /** Activities begun since `interrupt`. */
  calls(): number;
}

export function interrupter(): Interrupter {
  let interruption: Interruption | undefined;
  let calls = 0;
  const inbound: ActivityInboundCallsInterceptor = {
    async execute(input, next) {
      const nth = ++calls;
      if (interruption?.mode === 'twice') await next(input);
      if (interruption?.mode === 'before' && interruption.nth === nth)
        throw new Error('injected before the effect');
      const result = await next(input);
      if (interruption?.mode === 'after' && interruption.nth === nth)
        throw new Error('injected after the effect');
      return result;
    },
  };
  return {
    interceptors: { activity: [() => ({ inbound })] },
    interrupt(given) {
      interruption = given;
      calls = 0;
    },
    calls: () => calls,
  };
}
