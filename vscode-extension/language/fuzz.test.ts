/** Random edits of files by real messages: nothing fails or takes long, and what is found is what a new server would find. */
import { readdirSync, readFileSync } from 'node:fs';
import { policyPacks } from '@landfall/policies';
import { seeded } from '@landfall/policies/testing/random-cases.ts';
import type { CompletionList, Diagnostic, TextEdit } from 'vscode-languageserver';
import { LogMessageNotification } from 'vscode-languageserver-protocol';
import { TextDocument } from 'vscode-languageserver-textdocument';
import { formOf } from './file.ts';
import { testsChangedNotification } from './protocol.ts';
import { TestClient } from './testing/client.ts';

const ROUNDS = 16;
const EDITS = 10;
/** The slowest answer allowed, ms of this thread. */
const LIMIT = 1000;

const examples = (folder: string): string[] => {
  const url = new URL(`../../examples/${folder}`, import.meta.url);
  return readdirSync(url)
    .filter((name) => name.endsWith('.yaml'))
    .map((name) => readFileSync(new URL(name, url), 'utf8'));
};
const OFFERS = `- {provider: aws, region: eu-west-1, instanceType: m5.large, pricePerHour: 0.1}
- provider: gcp
  region: us-east1
  instanceType: e2-small
  vcpus: 2
  labels: &l {rack: a}
  pricePerHour: 0.02
- {provider: onprem, region: hall, instanceType: custom, labels: *l, pricePerHour: 0.3}
`;
const SEEDS = [
  ...examples(''),
  ...examples('policies/'),
  ...policyPacks().map(({ source }) => source),
  OFFERS,
];

const PIECES = [
  ...[
    'x',
    ' ',
    '\n',
    '\n  ',
    '\n    ',
    ': ',
    '#',
    '"',
    "'",
    '- ',
    '{',
    '}',
    '[',
    ']',
    '&a ',
    '*a',
    '<<: *a',
    '!t ',
    '\t',
  ],
  ...[
    '---\n',
    '|\n',
    '>',
    '? ',
    '\r\n',
    'null',
    '~',
    '0',
    '.',
    'offer.',
    '&& ',
    '"eu',
    ' in [',
    'variables.',
    '…',
    '\u0000',
  ],
  ...[
    '\n  - name: q',
    '\nspec:\n',
    '\nkind: Site\n',
    '\ntests:\n- name: t\n  offers: o.yaml\n',
    'apiVersion: landfall.dev/v1\n',
  ],
];

class RandomEdits {
  readonly #next: () => number;
  constructor(seed: number) {
    this.#next = seeded(seed);
  }

  upTo(most: number): number {
    return Math.floor(this.#next() * most);
  }

  pick<T>(from: readonly T[]): T {
    return from[this.upTo(from.length)]!;
  }

  /** The text after an edit: a piece put in, some of it taken out, a line twice or elsewhere. */
  edit(text: string): string {
    const lines = text.split('\n');
    const [from, to] = [this.upTo(lines.length), this.upTo(lines.length)];
    switch (this.upTo(6)) {
      case 0:
        return lines.toSpliced(to, 0, lines[from]!).join('\n');
      case 1:
        return lines.toSpliced(from, 1 + this.upTo(3)).join('\n');
      case 2: {
        const at = this.upTo(text.length);
        return text.slice(0, at) + text.slice(at + this.upTo(12));
      }
      default: {
        // Where values begin, what is put in counts most.
        const values = [...text.matchAll(/: /g)].map(({ index }) => index + 2);
        const at = this.upTo(2) === 0 ? this.upTo(text.length) : (values[this.upTo(values.length)] ?? 0);
        return text.slice(0, at) + this.pick(PIECES) + text.slice(at);
      }
    }
  }
}

/** A server, and what it published last. */
class Watched {
  readonly client = new TestClient();
  failed: string | undefined;
  #settled: (value: undefined) => void = () => {};

  constructor() {
    this.client.connection.onNotification(testsChangedNotification, () => this.#settled(undefined));
    // What fails where nobody waits is told in the log.
    this.client.connection.onNotification(LogMessageNotification.type, ({ message }) => {
      this.failed ??= message;
      this.#settled(undefined);
    });
  }

  /** What is found once the typing pauses, in an order that says nothing. */
  async settled(uri: string, text: string, act: () => Promise<unknown>): Promise<unknown[]> {
    await act();
    await this.client.diagnostics(uri);
    const wanted = formOf(uri, text, () => undefined) === null ? 1 : 2;
    while (this.failed === undefined && this.client.published(uri).length < wanted)
      await new Promise<undefined>((resolve) => {
        this.#settled = resolve;
      });
    return sorted(this.client.published(uri).at(-1)!);
  }
}

function sorted(found: readonly Diagnostic[]): unknown[] {
  return found.map((one) => JSON.stringify(one)).sort();
}

/** Fails for an answer that takes too long. */
async function inTime<T>(what: string, text: string, ask: () => Promise<T>): Promise<T> {
  const before = process.threadCpuUsage();
  const answer = await ask();
  const { user, system } = process.threadCpuUsage(before);
  if ((user + system) / 1000 > LIMIT) throw new Error(`${what} took ${(user + system) / 1000} ms: ${text}`);
  return answer;
}

test('whatever is typed, requests are answered, and what is found is what a new server finds', async () => {
  let found = 0;
  const kept = new Watched();
  for (let round = 0; round < ROUNDS; round++) {
    const random = new RandomEdits(round);
    const uri = `file:///w/fuzz-${round}.yaml`;
    let text = SEEDS[round % SEEDS.length]!;
    await kept.client.open(uri, text);
    await kept.client.diagnostics(uri);
    for (let i = 0; i < EDITS; i++) {
      text = random.edit(text);
      const now = text;
      await inTime('the diagnostics', text, async () => {
        await kept.client.change(uri, now);
        await kept.client.diagnostics(uri);
      });
      const document = TextDocument.create(uri, 'yaml', 1, text);
      const position = document.positionAt(random.upTo(text.length + 1));
      const options = { tabSize: 2, insertSpaces: true };
      const ask = <T>(method: string, more: object = {}): Promise<T> =>
        inTime(method, now, () => kept.client.ask<T>(method, uri, more));
      await ask<CompletionList>('completion', { position });
      await ask('hover', { position });
      switch (random.upTo(6)) {
        case 0:
          await ask('documentSymbol');
          break;
        case 1:
          await ask('semanticTokens/full');
          break;
        case 2:
          await ask('definition', { position });
          break;
        case 3: {
          const diagnostics = kept.client.published(uri).at(-1);
          await ask('codeAction', { range: { start: position, end: position }, context: { diagnostics } });
          break;
        }
        case 4:
          await ask('foldingRange');
          break;
        default: {
          const edits = await ask<TextEdit[] | null>('formatting', { options });
          // What is in one form stays so.
          if (edits !== null) text = TextDocument.applyEdits(document, edits);
        }
      }
    }
    const [last, isAsItWas] = [`${text}\n`, text];
    const ours = await kept.settled(uri, last, () => kept.client.change(uri, last));
    const fresh = new Watched();
    if (kept.failed !== undefined) throw new Error(`${kept.failed}\n${JSON.stringify(last)}`);
    const theirs = await fresh.settled(uri, last, () => fresh.client.open(uri, last));
    await fresh.client.close();
    expect({ round, text: isAsItWas, found: ours }).toEqual({ round, text: isAsItWas, found: theirs });
    found += ours.length;
    await kept.client.connection.sendNotification('textDocument/didClose', { textDocument: { uri } });
  }
  await kept.client.close();
  // Or this would show nothing.
  expect(found).toBeGreaterThan(100);
}, 120_000);
