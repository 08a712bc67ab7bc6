/** The wire form of the watch stream. */

/** One server-sent event. */
export interface ServerSentEvent {
  id: string | undefined;
  event: string;
  data: string;
}

/** Splits text that comes in pieces into server-sent events. */
export class ServerSentEventParser {
  #rest = '';
  #event = '';
  #data: string[] = [];
  #id: string | undefined;

  /** The events that this piece completes. */
  push(text: string): ServerSentEvent[] {
    const events: ServerSentEvent[] = [];
    // A CR at the end may be half of a CR LF: it waits for what follows.
    const lines = (this.#rest + text).split(/\r\n|\n|\r(?!$)/);
    this.#rest = lines.pop() ?? '';
    for (const line of lines) {
      if (line === '') {
        if (this.#data.length > 0)
          events.push({ id: this.#id, event: this.#event || 'message', data: this.#data.join('\n') });
        this.#event = '';
        this.#data = [];
        continue;
      }
      const [, field = '', value = ''] = /^([^:]*):? ?(.*)$/s.exec(line) ?? [];
      if (field === 'event') this.#event = value;
      else if (field === 'data') this.#data.push(value);
      else if (field === 'id' && !value.includes('\0')) this.#id = value;
    }
    return events;
  }
}
