/** States that EC2 passes through and moto jumps over, by id. */
export interface Passing {
  set(id: string, state: string, ms: number): void;
  /** The state that is shown now, where it is not moto's. */
  of(id: string): string | undefined;
  clear(): void;
}

export function createPassing(now: () => number = Date.now): Passing {
  const states = new Map<string, { state: string; until: number }>();
  return {
    set: (id, state, ms) => void states.set(id, { state, until: now() + ms }),
    of(id) {
      const passing = states.get(id);
      return passing && passing.until > now() ? passing.state : undefined;
    },
    clear: () => states.clear(),
  };
}
