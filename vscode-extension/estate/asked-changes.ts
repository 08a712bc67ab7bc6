/** What a person is asked about, until it is done: the same thing, whatever its name and the window's broker are by then. */

import type { ToolBroker } from '@landfall/mcp/changes.ts';
import type { Change, ChangingTool } from '@landfall/mcp/tools.ts';
import type { Question } from './actions.ts';

/** The changes of one tool that were asked about. */
export class AskedChanges<I extends object> {
  readonly #tool: ChangingTool<I>;
  /** By input. */
  readonly #asked = new Map<string, Change>();

  constructor(tool: ChangingTool<I>) {
    this.#tool = tool;
  }

  /** Finds what is meant, and what is to be asked of the person about it. */
  async ask(broker: ToolBroker, input: I): Promise<Question> {
    const change = await this.#tool.prepare(broker, input);
    this.#asked.set(JSON.stringify(input), change);
    return change.question;
  }

  /** Does what was asked about last for this input, once. Rejects where nothing was. */
  async run(input: I): Promise<unknown> {
    const key = JSON.stringify(input);
    const change = this.#asked.get(key);
    if (change === undefined) throw new Error('Nobody was asked about this. Nothing was changed.');
    this.#asked.delete(key);
    return change.run();
  }
}
