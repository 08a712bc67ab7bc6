/** A terminal for tests: what was written is kept. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { run } from '../program.ts';
import type { Terminal } from '../terminal.ts';

/** What a command line came to. */
export interface Ran {
  code: number;
  out: string;
  err: string;
}

/** A home of its own, for one test file. */
export class FakeHome {
  readonly folder = mkdtempSync(join(tmpdir(), 'landfall-cli-'));
  env: NodeJS.ProcessEnv = {
    PATH: process.env.PATH,
    HOME: this.folder,
    USER: 'ada',
    LANDFALL_CONFIG_DIR: join(this.folder, 'config'),
  };
  cwd = this.folder;
  interruption = new AbortController();

  /** Runs a command line in it. `asked`: standard input is a person's answers. */
  async run(
    line: string | string[],
    options: { stdin?: string; tty?: boolean; asked?: boolean } = {},
  ): Promise<Ran> {
    const ran: Ran = { code: -1, out: '', err: '' };
    const terminal: Terminal = {
      out: (text) => {
        ran.out += text;
      },
      err: (text) => {
        ran.err += text;
      },
      stdin: Object.assign(Readable.from(options.stdin === undefined ? [] : [options.stdin]), {
        isTTY: options.asked === true,
      }),
      outIsTTY: options.tty === true,
      errIsTTY: options.tty === true,
      columns: 100,
      env: this.env,
      cwd: this.cwd,
      interrupted: this.interruption.signal,
    };
    ran.code = await run(typeof line === 'string' ? line.split(' ') : line, terminal);
    return ran;
  }

  /** Removes it. */
  remove(): void {
    rmSync(this.folder, { recursive: true, force: true });
  }
}
