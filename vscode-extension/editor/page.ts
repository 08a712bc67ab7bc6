/** What the panels share: pages without a script, whose links are commands of the editor. */
import type { PlacedOffer } from '@landfall/policies';
import type { RecordedDecision, RuleName } from '../language/protocol.ts';
import { wholeWords } from './whole-words.ts';

/** The addresses that pages link to. */
export interface PageLinks {
  /** Opens a line (from 1) of a file. */
  line: (uri: string, line: number) => string;
  /** Opens a rule where it is written. */
  rule: (named: RuleName) => string;
  /** Explains a decision as it was made. */
  decision: (recorded: RecordedDecision) => string;
}

const escapes: Record<string, string> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};

/** Text as HTML: names and messages are written by anybody. */
export function escaped(text: string): string {
  return text.replace(/[&<>"']/g, (each) => escapes[each]!);
}

export const hour = (price: number): string => `$${price.toFixed(price !== 0 && price < 0.001 ? 6 : 4)}/h`;
export const month = (price: number): string => `$${price.toFixed(2)}/month`;
export const count = (amount: number): string => amount.toLocaleString('en-US');
export const place = (offer: PlacedOffer): string =>
  `${offer.provider} ${offer.zone ?? offer.region}${offer.host ? `, host ${offer.host}` : ''} ${offer.instanceType}`;

export function link(text: string, address: string): string {
  return `<a href="${escaped(address)}">${escaped(text)}</a>`;
}

/** Writes the names of rules, each as a link to its line, and texts in which names of rules occur. */
export class RuleNames {
  readonly #links: PageLinks;
  readonly #from: Omit<RuleName, 'policy' | 'rule'>;
  readonly #files: Readonly<Record<string, string>>;

  /** `from`: what is known of all of them; `files`: the addresses of those that policies are of, where these were given. */
  constructor(
    links: PageLinks,
    from: Omit<RuleName, 'policy' | 'rule'>,
    files: Readonly<Record<string, string>> = {},
  ) {
    this.#links = links;
    this.#from = from;
    this.#files = files;
  }

  /** `policy/rule`, or other words for it. */
  of(named: Pick<RuleName, 'policy' | 'rule'> & { file?: string }, words?: string): string {
    const { policy, rule, file } = named;
    // A file of the workspace is named by its address, a policy of a broker by its name.
    const given = Object.hasOwn(this.#files, policy) ? this.#files[policy] : file;
    const uri = given !== undefined && /^[\w+.-]+:\/\//.test(given) ? { uri: given } : {};
    return link(words ?? `${policy}/${rule}`, this.#links.rule({ ...this.#from, ...uri, policy, rule }));
  }

  /** A text with each of these rules linked where it is named. */
  in(text: string, rules: readonly { policy: string; rule: string; file?: string }[]): string {
    const byName = new Map(rules.map((each) => [`${each.policy}/${each.rule}`, each]));
    const parts = text.split(wholeWords(byName.keys()));
    return parts
      .map((part) => {
        const rule = byName.get(part);
        return rule === undefined ? escaped(part) : this.of(rule);
      })
      .join('');
  }
}

/** The whole page, for a webview that allows inline styles only. */
export function pageOf(title: string, sections: readonly string[]): string {
  return `<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>${escaped(title)}</title>
<style>${STYLE}</style>
</head>
<body>
${sections.join('\n')}
</body>
</html>`;
}

const STYLE = `
body{font:var(--vscode-font-size) var(--vscode-font-family);color:var(--vscode-foreground);padding:0 1.5em 2em;max-width:70em}
h1{font-size:1.4em;font-weight:600;margin:1em 0 .3em}h2{font-size:1.05em;margin:1.6em 0 .4em}
.price{font-size:1.6em;margin:.2em 0}.soft{color:var(--vscode-descriptionForeground)}.price .soft{font-size:.65em;margin-left:.5em}
.notice{border-left:3px solid var(--vscode-editorWarning-foreground);padding-left:.7em}
table{border-collapse:collapse;width:100%}td,th{text-align:left;padding:.2em .8em .2em 0;vertical-align:top;font-weight:inherit}
th{color:var(--vscode-descriptionForeground);border-bottom:1px solid var(--vscode-panel-border)}
.number{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}.saves{color:var(--vscode-charts-green)}
.bars{position:relative;width:30%;min-width:8em}.bars+td{padding-left:.8em}.bar{position:absolute;left:0;top:.45em;height:.75em;background:var(--vscode-charts-orange);opacity:.45;border-radius:2px}
.bar.alone{opacity:1}.chart .bar{opacity:.8;background:var(--vscode-charts-foreground)}
.chart .aws{background:var(--vscode-charts-orange)}.chart .azure{background:var(--vscode-charts-blue)}.chart .gcp{background:var(--vscode-charts-green)}.chart .onprem{background:var(--vscode-charts-purple)}
.winner td{font-weight:600}code{font-family:var(--vscode-editor-font-family)}a{color:var(--vscode-textLink-foreground)}`;
