/** Results of checks and tests as JUnit XML, the form that CI systems read. */

/** One test of a file; `failure` says why it failed, `error` that the file could not be read, `said` what else there is to say. */
export interface JunitCase {
  file: string;
  line?: number;
  suite: string;
  name: string;
  failure?: string;
  error?: string;
  said?: string;
}

/** One `testsuite` per file. */
export function junit(command: string, cases: readonly JunitCase[]): string {
  const files = Map.groupBy(cases, ({ file }) => file);
  const suites = [...files].map(([file, tests]) => {
    const body = tests.map(testCase).join('');
    return `  <testsuite ${attributes({ name: file, ...counts(tests) })}>\n${body}  </testsuite>\n`;
  });
  const all = attributes({ name: `landfall ${command}`, ...counts(cases) });
  return `<?xml version="1.0" encoding="UTF-8"?>\n<testsuites ${all}>\n${suites.join('')}</testsuites>\n`;
}

function counts(tests: readonly JunitCase[]): Record<string, number> {
  return {
    tests: tests.length,
    failures: tests.filter(({ failure }) => failure !== undefined).length,
    errors: tests.filter(({ error }) => error !== undefined).length,
  };
}

function testCase({ suite, name, file, line, failure, error, said }: JunitCase): string {
  const head = `    <testcase ${attributes({ classname: suite, name, file, ...(line !== undefined && { line }) })}`;
  const kind = error === undefined ? 'failure' : 'error';
  const wrong = error ?? failure;
  if (wrong === undefined && said === undefined) return `${head}/>\n`;
  const inner =
    wrong === undefined
      ? `<system-out>${escaped(said!)}</system-out>`
      : `<${kind} ${attributes({ message: wrong.split('\n')[0]! })}>${escaped(wrong)}</${kind}>`;
  return `${head}>\n      ${inner}\n    </testcase>\n`;
}

function attributes(values: Record<string, string | number>): string {
  return Object.entries(values)
    .map(([name, value]) => `${name}="${escaped(String(value))}"`)
    .join(' ');
}

const ENTITIES: Record<string, string> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&apos;',
};

/** XML 1.0 has no way to write control characters and halves of surrogate pairs. */
function escaped(text: string): string {
  return text
    .toWellFormed()
    .replaceAll(/[\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff]/g, '\ufffd')
    .replaceAll(/[&<>"']/g, (character) => ENTITIES[character]!)
    .replaceAll(/[\t\n\r]/g, (character) => `&#${character.charCodeAt(0)};`);
}
