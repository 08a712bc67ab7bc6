/** Asks the person at the terminal. */
import { createInterface } from 'node:readline';
import { CommandError, exitCodes, usageError } from './errors.ts';
import type { Session } from './session.ts';

/** One line from the terminal; not shown while it is typed when it is secret. */
export function ask(session: Session, question: string, secret: boolean): Promise<string> {
  const { stdin, interrupted } = session.terminal;
  return new Promise((resolve, reject) => {
    const lines = createInterface({
      input: stdin,
      output: secret ? undefined : process.stderr,
      terminal: true,
    });
    const stop = (): void => {
      lines.close();
      reject(new CommandError('Interrupted.', { exitCode: exitCodes.interrupted }));
    };
    interrupted.addEventListener('abort', stop, { once: true });
    lines.on('SIGINT', stop);
    if (secret) session.terminal.err(question);
    else lines.setPrompt(question);
    if (!secret) lines.prompt();
    lines.once('line', (line) => {
      interrupted.removeEventListener('abort', stop);
      if (secret) session.terminal.err('\n');
      lines.close();
      resolve(line.trim());
    });
  });
}

/**
 * Asks before something that is not easily taken back; `yes`: it was answered on the command line.
 * @returns whether to go on. @throws usage error where nobody is at the terminal to answer.
 */
export async function confirmed(
  session: Session,
  question: string,
  { yes }: { yes?: boolean },
): Promise<boolean> {
  if (yes) return true;
  if (session.terminal.stdin.isTTY !== true)
    throw usageError(
      'This asks before it does anything, and nobody is there to answer.',
      'Answer with --yes.',
    );
  return /^y(es)?$/i.test(await ask(session, `${question} [y/N] `, false));
}
