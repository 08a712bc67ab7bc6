/**
 * Shows what goes on: on a terminal one live line with every running step and its time, elsewhere plain
 * lines, one when a step ends and one now and then while it lasts.
 */

/** Where lines go, and whether it is a terminal. */
export interface Screen {
  write(text: string): unknown;
  isTTY?: boolean;
  columns?: number;
}

const frames = ['⠋', '⠙', '⠹', '⠸', '⠼', '⠴', '⠦', '⠧', '⠇', '⠏'];

function seconds(ms: number): string {
  return ms < 10_000 ? `${(ms / 1000).toFixed(1)} s` : `${Math.round(ms / 1000)} s`;
}

/** Steps with their elapsed time. */
export class Progress {
  readonly #screen: Screen;
  readonly #live: boolean;
  readonly #colour: boolean;
  readonly #everyMs: number;
  readonly #running = new Map<string, { since: number; told: number; note: string }>();
  #timer: NodeJS.Timeout | undefined;
  #frame = 0;

  constructor(screen: Screen = process.stderr, { everyMs = 10_000, env = process.env } = {}) {
    this.#screen = screen;
    this.#live = screen.isTTY === true && env.CI === undefined && env.TERM !== 'dumb';
    this.#colour = this.#live && env.NO_COLOR === undefined;
    this.#everyMs = everyMs;
  }

  /** Text in a colour, where colours are on. */
  paint(code: number, text: string): string {
    return this.#colour ? `\x1b[${code}m${text}\x1b[0m` : text;
  }

  /** One line that stays. */
  line(text: string): void {
    this.#clear();
    this.#screen.write(`${text}\n`);
    this.#draw();
  }

  /** Runs one step; `note` says what it does just now. */
  async run<T>(title: string, step: (note: (text: string) => void) => Promise<T>): Promise<T> {
    const state = { since: Date.now(), told: Date.now(), note: '' };
    this.#running.set(title, state);
    this.#timer ??= setInterval(() => this.#tick(), this.#live ? 100 : 1000);
    try {
      const result = await step((text) => {
        state.note = text;
      });
      this.#end(title);
      const ms = Date.now() - state.since;
      this.line(`${this.paint(32, '✓')} ${title} ${this.paint(2, seconds(ms))}`);
      return result;
    } catch (error) {
      this.#end(title);
      this.line(`${this.paint(31, '✗')} ${title} ${this.paint(2, seconds(Date.now() - state.since))}`);
      throw error;
    }
  }

  #end(title: string): void {
    this.#running.delete(title);
    if (this.#running.size > 0) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
    this.#clear();
  }

  #tick(): void {
    if (this.#live) {
      this.#frame++;
      this.#clear();
      this.#draw();
      return;
    }
    const now = Date.now();
    for (const [title, state] of this.#running) {
      if (now - state.told < this.#everyMs) continue;
      state.told = now;
      this.#screen.write(`… ${title}${state.note && `: ${state.note}`} (${seconds(now - state.since)})\n`);
    }
  }

  #clear(): void {
    if (this.#live) this.#screen.write('\r\x1b[2K');
  }

  #draw(): void {
    if (!this.#live || this.#running.size === 0) return;
    const now = Date.now();
    const text = [...this.#running]
      .map(([title, { since, note }]) => `${title}${note && `: ${note}`} ${seconds(now - since)}`)
      .join(' · ');
    // Longer than the line would wrap, and a wrapped line is not erased.
    const room = (this.#screen.columns ?? 80) - 4;
    const shown = text.length > room ? `${text.slice(0, room - 1)}…` : text;
    this.#screen.write(`${frames[this.#frame % frames.length]} ${shown}`);
  }
}
