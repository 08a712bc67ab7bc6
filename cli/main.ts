/** The process: arguments in, exit code out. */
import { run } from './program.ts';
import { processTerminal } from './terminal.ts';

const interruption = new AbortController();
/** One Ctrl-C may come twice, from the terminal and from the program that started this one; a person takes longer. */
const sameInterruptMs = 300;
let interruptedAt = 0;
process.on('SIGINT', () => {
  // The first Ctrl-C lets a command say what goes on without it; the second one ends the process.
  if (!interruption.signal.aborted) {
    interruptedAt = Date.now();
    interruption.abort();
  } else if (Date.now() - interruptedAt > sameInterruptMs) process.exit(130);
});
for (const stream of [process.stdout, process.stderr]) {
  stream.on('error', (error: NodeJS.ErrnoException) => {
    // The reader left (`landfall get offers | head`): there is nobody to write for.
    if (error.code === 'EPIPE') process.exit(0);
    throw error;
  });
}
const exitCode = await run(process.argv.slice(2), processTerminal(interruption.signal));
// A kept-alive connection or an unread stdin must not hold the process; output is flushed first.
process.exitCode = exitCode;
process.stdout.write('', () => process.stderr.write('', () => process.exit(exitCode)));
