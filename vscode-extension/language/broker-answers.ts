/** What the connected broker says of the documents of open files: of policies what they would change, of instances where they
 * would land. The client asks it. */
import { type CancellationToken, CancellationTokenSource } from 'vscode-languageserver';
import { isSound } from './diagnostics.ts';
import { type FilePart, type LandfallFile, textAt } from './file.ts';
import {
  type BrokerAnswer,
  type BrokerQuestion,
  type EstateNames,
  type LanguageSettings,
  questionKinds,
} from './protocol.ts';

/** How long nothing is typed, after the diagnostics' own pause, before the broker is asked: it replays a thousand requests. */
const PAUSE = 400;

interface Known {
  /** What was asked about last; what is asked about now where `asking` stands. */
  about: string;
  asking?: CancellationTokenSource;
  /** The last answer: it stays while the text is broken, and while another is waited for. */
  summary?: string;
}

type Ask = (question: BrokerQuestion, token: CancellationToken) => Promise<BrokerAnswer>;

export class BrokerAnswers {
  readonly #ask: Ask;
  readonly #changed: () => void;
  readonly #known = new Map<string, Map<string, Known>>();
  readonly #pauses = new Map<string, NodeJS.Timeout>();
  #estate: EstateNames = { connected: false };

  constructor(ask: Ask, changed: () => void) {
    this.#ask = ask;
    this.#changed = changed;
  }

  /** Another broker, none, or other circumstances at the same. Nothing that a broker said is left of one that is gone. */
  set estate(estate: EstateNames) {
    this.#estate = estate;
    if (!estate.connected) for (const uri of [...this.#known.keys()]) this.forget(uri);
  }

  /** The answer on a document of a file, as far as there is one. */
  summary(uri: string, kind: string, name: string): string | undefined {
    return this.#known.get(uri)?.get(`${kind} ${name}`)?.summary;
  }

  /** The text changed: what is being asked about it is no longer wanted. */
  interrupt(uri: string): void {
    clearTimeout(this.#pauses.get(uri));
    this.#pauses.delete(uri);
    for (const known of this.#known.get(uri)?.values() ?? []) stop(known);
  }

  forget(uri: string): void {
    this.interrupt(uri);
    this.#known.delete(uri);
  }

  /** Asks after a pause about the documents of the file that are sound and were not asked about as they are. */
  look(file: LandfallFile, wanted: LanguageSettings['lenses']): void {
    clearTimeout(this.#pauses.get(file.uri));
    if (!this.#estate.connected) return;
    const asked = file.parts.filter(
      (part) =>
        (part.kind === 'Instance' && wanted.resource && isSound(part)) ||
        (part.kind === 'PlacementPolicy' && wanted.whatIf && hasSoundPolicy(file, part)),
    );
    if (asked.length === 0) return;
    this.#pauses.set(
      file.uri,
      setTimeout(() => void this.#askAll(file, asked), PAUSE),
    );
  }

  /** One after the other: a file may have hundreds. Ends when the text changes. */
  async #askAll(file: LandfallFile, parts: readonly FilePart[]): Promise<void> {
    const pause = this.#pauses.get(file.uri);
    for (const part of parts) {
      if (this.#pauses.get(file.uri) !== pause) return;
      await this.#askAbout(file, part);
    }
  }

  async #askAbout({ uri }: LandfallFile, part: FilePart): Promise<void> {
    const { text, line } = part;
    const kind = questionKinds.find((each) => each === part.kind);
    const name = textAt(part, ['metadata', 'name'])?.text;
    if (kind === undefined || name === undefined) return;
    const ofFile = this.#known.get(uri) ?? new Map<string, Known>();
    this.#known.set(uri, ofFile);
    const known: Known = ofFile.get(`${kind} ${name}`) ?? { about: '' };
    ofFile.set(`${kind} ${name}`, known);
    const about = [text, line, this.#estate.changes ?? 0].join('\n');
    if (known.about === about) return;
    stop(known);
    known.about = about;
    const asking = new CancellationTokenSource();
    known.asking = asking;
    const answer = await this.#ask({ uri, kind, text, line }, asking.token).catch(
      (error: Error): BrokerAnswer => ({ unanswered: error.message }),
    );
    if (known.asking !== asking) return;
    known.asking = undefined;
    if ('summary' in answer && answer.summary !== known.summary) {
      known.summary = answer.summary;
      this.#changed();
    }
  }
}

/** Ends what is being asked, so that the same may be asked again. */
function stop(known: Known): void {
  if (known.asking === undefined) return;
  known.asking.cancel();
  known.asking = undefined;
  known.about = '';
}

function hasSoundPolicy({ policies }: LandfallFile, part: FilePart): boolean {
  const name = textAt(part, ['metadata', 'name'])?.text;
  return policies.policies.some((policy) => policy.name === name);
}
