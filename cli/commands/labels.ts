import { usageError } from '../errors.ts';

/** `env=prod,team=web`. */
export function labelsOf(given: string | undefined, flag = '--labels'): Record<string, string> | undefined {
  if (given === undefined) return undefined;
  return Object.fromEntries(
    given.split(',').map((pair) => {
      const at = pair.indexOf('=');
      if (at < 1) throw usageError(`${flag} must be key=value pairs joined by commas, not "${given}".`);
      return [pair.slice(0, at).trim(), pair.slice(at + 1).trim()];
    }),
  );
}
