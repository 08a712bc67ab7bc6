/** In a browser there is no shell. */
const why =
  'there is no machine behind this editor to run a command on. Use a desktop editor, Remote-SSH or code-server for it.';

export const hasShell = false;

export function cliCommand(): never {
  throw new Error(why);
}

export function runInTerminal(): never {
  throw new Error(why);
}

export function checkout(): never {
  throw new Error(why);
}
