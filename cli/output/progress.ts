/** Progress on standard error: one line that changes on a terminal, a line per change elsewhere. */

import { span } from '@landfall/model/quantities.ts';
import type { Paint } from './colours.ts';
import { printable } from './colours.ts';

const frames = ['⠋', '⠙', '⠹', '⠸', '⠼', '⠴', '⠦', '⠧', '⠇', '⠏'];

/** What several things being waited for are doing. */
export class Progress {
  readonly #write: (text: string) => void;
  readonly #live: boolean;
  readonly #columns: number;
  readonly #paint: Paint;
  readonly #doing = new Map<string, { text: string; since: number }>();
  #timer: NodeJS.Timeout | undefined;
  #frame = 0;

  constructor(options: { write: (text: string) => void; live: boolean; columns: number; paint: Paint }) {
    this.#write = options.write;
    this.#live = options.live;
    this.#columns = options.columns;
    this.#paint = options.paint;
  }

  /** What a subject does now. A repeat says nothing. */
  update(subject: string, text: string): void {
    const before = this.#doing.get(subject);
    if (before?.text === text) return;
    this.#doing.set(subject, { text, since: before?.since ?? Date.now() });
    if (!this.#live) {
      this.#write(`${subject}: ${printable(text)}\n`);
      return;
    }
    this.#draw();
    this.#timer ??= setInterval(() => this.#draw(), 100);
    this.#timer.unref();
  }

  /** A subject is through; the text stays on its own line. */
  end(subject: string, text: string, good: boolean): void {
    const since = this.#doing.get(subject)?.since;
    this.#doing.delete(subject);
    this.#clear();
    const took = since === undefined ? '' : ` (${span(Date.now() - since)})`;
    const mark = this.#live ? `${this.#paint(good ? 'green' : 'red', good ? '✓' : '✗')} ` : '';
    this.#write(`${mark}${subject}: ${printable(text)}${took}\n`);
    if (this.#doing.size > 0) this.#draw();
    else this.stop();
  }

  /** Removes the changing line. */
  stop(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
    this.#clear();
  }

  #clear(): void {
    if (this.#live) this.#write('\r\x1b[K');
  }

  #draw(): void {
    const first = this.#doing.entries().next().value;
    if (!this.#live || first === undefined) return;
    const [subject, { text, since }] = first;
    const others = this.#doing.size > 1 ? `  and ${this.#doing.size - 1} more` : '';
    const line = `${frames[this.#frame++ % frames.length]} ${subject}: ${printable(text)} (${span(Date.now() - since)})${others}`;
    this.#write(`\r\x1b[K${line.slice(0, this.#columns - 1)}`);
  }
}
