/** Colours, for terminals only. */

const codes = { bold: 1, dim: 2, red: 31, green: 32, yellow: 33, cyan: 36 } as const;

/** A colour's name. */
export type Colour = keyof typeof codes;

/** Paints text, or leaves it as it is where colours are not wanted. */
export type Paint = (colour: Colour, text: string) => string;

/** Whether colours are wanted: on a terminal, without NO_COLOR and --no-color. */
export function coloursWanted(isTTY: boolean, env: NodeJS.ProcessEnv, flag: boolean | undefined): boolean {
  return isTTY && flag !== false && !env.NO_COLOR && env.TERM !== 'dumb';
}

/** A painter; `plainPaint` when off. */
export function painter(on: boolean): Paint {
  return on ? (colour, text) => (text === '' ? text : `\x1b[${codes[colour]}m${text}\x1b[0m`) : plainPaint;
}

/** Leaves text unpainted. */
export const plainPaint: Paint = (_colour, text) => text;

const stateColours: Record<string, Colour> = {
  Running: 'green',
  Ready: 'green',
  Succeeded: 'green',
  placed: 'green',
  Failed: 'red',
  Lost: 'red',
  Unavailable: 'red',
  Unreachable: 'red',
  unplaceable: 'red',
  Stopped: 'dim',
  Cancelled: 'dim',
  Deleted: 'dim',
};

/** The colour of a state; states on the way to another are yellow. */
export function stateColour(state: string): Colour {
  return stateColours[state] ?? 'yellow';
}

/** Text from elsewhere without control characters, which could rewrite the terminal. */
export function printable(text: string): string {
  return text.replaceAll(/[\x00-\x08\x0b-\x1f\x7f-\x9f]/g, '\uFFFD');
}
