/** Waiting times for retries, in milliseconds: doubling from `first` to `longest`, each shortened at random by up to half. */
export function backOff(first: number, longest: number): { next(): number; reset(): void } {
  let step = first;
  return {
    next() {
      const wait = step * (1 - Math.random() / 2);
      step = Math.min(step * 2, longest);
      return wait;
    },
    reset() {
      step = first;
    },
  };
}
