import { execFile } from 'node:child_process';
import { basename } from 'node:path';
import { type CallOutcome, keepingCall, noAnswer } from '@landfall/adapters/provider-calls.ts';

/** A program that ended badly, was not found, ran out of time or was cancelled. `stderr` is its own words. */
export class CommandFailed extends Error {
  readonly program: string;
  readonly args: readonly string[];
  /** Exit code; undefined when it never ran or a signal ended it. */
  readonly exitCode: number | undefined;
  readonly stdout: string;
  readonly stderr: string;
  readonly timedOut: boolean;

  constructor(
    program: string,
    args: readonly string[],
    outcome: { exitCode?: number; stdout?: string; stderr: string; timedOut: boolean },
    cause?: unknown,
  ) {
    const words = outcome.stderr.trim() || (cause instanceof Error ? cause.message : 'no message');
    const end = outcome.timedOut ? 'ran out of time' : `ended with ${outcome.exitCode ?? 'a signal'}`;
    super(`${program} ${args.slice(0, 3).join(' ')} ${end}: ${words}`, { cause });
    this.name = 'CommandFailed';
    this.program = program;
    this.args = args;
    this.exitCode = outcome.exitCode;
    this.stdout = outcome.stdout ?? '';
    this.stderr = outcome.stderr;
    this.timedOut = outcome.timedOut;
  }
}

export interface CommandOptions {
  signal?: AbortSignal;
  /** Default 120 000. */
  timeoutMs?: number;
  cwd?: string;
  env?: NodeJS.ProcessEnv;
  /** Written to standard input, which is then closed. */
  input?: string | Uint8Array;
}

/**
 * Runs a program without a shell and answers its standard output. Messages are in English whatever the host's locale,
 * because error texts are matched. Throws `CommandFailed`, or the signal's own reason when cancelled.
 */
export function run(program: string, args: readonly string[], options: CommandOptions = {}): Promise<string> {
  return keepingCall(
    () => callName(program, args),
    () => runProgram(program, args, options),
    { answer: () => ({}), error: failureOf },
  );
}

/** The program and its verb, which for virsh comes after where libvirt is: `virsh define`, `qemu-img create`. */
function callName(program: string, args: readonly string[]): string {
  const name = basename(program);
  const verb = name === 'virsh' ? args[3] : name === 'qemu-img' ? args[0] : undefined;
  return [name, verb?.split(/[ ;]/, 1)[0]].filter(Boolean).join(' ');
}

function failureOf(error: unknown): CallOutcome {
  if (!(error instanceof CommandFailed) || (error.exitCode === undefined && !error.timedOut))
    return noAnswer(error);
  return { code: error.timedOut ? 'timedOut' : `exit ${error.exitCode}` };
}

function runProgram(program: string, args: readonly string[], options: CommandOptions): Promise<string> {
  const timeoutMs = options.timeoutMs ?? 120_000;
  return new Promise((resolve, reject) => {
    options.signal?.throwIfAborted();
    const child = execFile(
      program,
      args,
      {
        encoding: 'utf8',
        maxBuffer: 64 * 1024 * 1024,
        timeout: timeoutMs,
        killSignal: 'SIGKILL',
        signal: options.signal,
        cwd: options.cwd,
        env: { ...(options.env ?? process.env), LC_ALL: 'C.UTF-8' },
      },
      (error, stdout, stderr) => {
        if (!error) return resolve(stdout);
        if (options.signal?.aborted) return reject(options.signal.reason);
        const exitCode = typeof error.code === 'number' ? error.code : undefined;
        const timedOut = error.killed === true && exitCode === undefined;
        reject(new CommandFailed(program, args, { exitCode, stdout, stderr, timedOut }, error));
      },
    );
    // A program that ends before it has read its input breaks the pipe; its exit code tells the story.
    child.stdin?.on('error', () => {});
    child.stdin?.end(options.input);
  });
}
