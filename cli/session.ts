/** What a command has at hand: the terminal, the broker, the output format, colours. */
import { type Broker, connect } from './connection/broker.ts';
import { type ConnectionFlags, resolveConnection } from './connection/connection.ts';
import { coloursWanted, type Paint, painter } from './output/colours.ts';
import { type Format, json, parseFormat, yaml } from './output/formats.ts';
import type { Terminal } from './terminal.ts';

/** Flags that every command takes. */
export interface CommonFlags extends ConnectionFlags {
  output?: string;
  color?: boolean;
}

/** One run of one command. */
export class Session {
  readonly terminal: Terminal;
  readonly flags: CommonFlags;
  readonly format: Format;
  /** Paints standard output. */
  readonly paint: Paint;
  /** Paints standard error. */
  readonly paintErr: Paint;
  #broker: Broker | undefined;

  constructor(terminal: Terminal, flags: CommonFlags, moreFormats: readonly Format[] = []) {
    this.terminal = terminal;
    this.flags = flags;
    this.format = parseFormat(flags.output, moreFormats);
    this.paint = painter(coloursWanted(terminal.outIsTTY, terminal.env, flags.color));
    this.paintErr = painter(coloursWanted(terminal.errIsTTY, terminal.env, flags.color));
  }

  /** The broker; resolved at first use, so that offline commands need none. */
  get broker(): Broker {
    this.#broker ??= connect(resolveConnection(this.flags, this.terminal), this.terminal.interrupted);
    return this.#broker;
  }

  /** The broker with requests about another project. */
  brokerFor(project: string | undefined): Broker {
    return project === undefined ? this.broker : { ...this.broker, project };
  }

  out(text: string): void {
    this.terminal.out(text);
  }

  /** One line of notice on standard error. */
  notice(text: string): void {
    this.terminal.err(`${text}\n`);
  }

  /** Whether standard output is for a program. */
  get structured(): boolean {
    return this.format === 'json' || this.format === 'yaml';
  }

  /** Writes a value as JSON or YAML. */
  outStructured(value: unknown): void {
    this.out(this.format === 'yaml' ? yaml(value) : json(value));
  }
}
