/** Writes docs/reliability.md from the titles of the tests: each failure that brokers have had, and what tests it where. */
import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { root } from './node24.mjs';

/** The failures, by their number in the titles of tests. R13, R14 and R16 are of moves of machines, which do not exist yet. */
const failures: Record<string, string> = {
  R1: 'crash between the provider’s create and our write',
  R2: 'double create on retry',
  R3: 'token used again with other parameters on fallback',
  R4: 'token bound to a dead machine',
  R5: 'an API without a token',
  R6: 'what lists do not show yet is taken for gone',
  R7: 'lost delete',
  R8: 'delete before the id is known',
  R9: 'interface, disk or address leaked on a refusal',
  R10: 'parent removed first',
  R11: 'failover destroys the user’s stopped machine',
  R12: 'address used again revives a dead machine',
  R15: 'retry storm',
  R17: 'part of a batch hidden by an error',
  R18: 'mass delete after an empty or broken list',
  R19: 'one installation removes another’s machines',
  R20: 'a restored database makes live machines look like orphans',
};

const columns = ['AWS', 'Azure', 'GCP', 'on-prem', 'any'] as const;
type Column = (typeof columns)[number];

/** What a test file is about; a file that no line names tests what is the same on every provider. */
const places: [RegExp, Column[]][] = [
  [/^test\/reliability\/clouds\./, ['Azure', 'GCP']],
  [/^test\/reliability\/(aws-|sweep|killed-worker)|^adapters\/aws\//, ['AWS']],
  [/^adapters\/azure\//, ['Azure']],
  [/^adapters\/gcp\//, ['GCP']],
  [/^test\/reliability\/onprem\.|^onprem-agent\//, ['on-prem']],
];

const byName =
  'what is made has its name from the stamp, so that a second make of it is refused or is the same; rule A8 of the conformance suite loses the answer of each kind’s make';
const made = 'rule A9 of the conformance suite: errors carry what was made';

/** Why a row has no test of its own at a provider, where none is the same on every provider either. */
const gaps: Record<string, Partial<Record<Column, string>>> = {
  R5: { Azure: byName, GCP: byName },
  R17: { AWS: made, 'on-prem': made },
  R20: {
    'on-prem':
      'the grace period and the cap of a sweep are decided in workflows/estate-activities.ts, whatever the provider, and tested on the clouds',
  },
};

/** By what name a title says that it is about one of its file's providers alone. */
const words: Partial<Record<Column, string>> = { GCP: 'Google Cloud' };

interface Tested {
  file: string;
  title: string;
  at: Column[];
}

/** Tests by the failures in their titles. */
function tested(): Map<string, Tested[]> {
  const found = new Map<string, Tested[]>();
  const files = globSync('{test,adapters,broker,cli,onprem-agent,store,workflows}/**/*.test.ts', {
    cwd: root,
    exclude: (name) => name === 'node_modules',
  }).sort();
  for (const file of files) {
    const at = places.find(([pattern]) => pattern.test(file))?.[1] ?? ['any'];
    for (const [, title = ''] of readFileSync(join(root, file), 'utf8').matchAll(
      /^\s*(?:test|it|describe|[)\]}]+)?(?:\.each)?\(?\s*(?:'|")(R\d+(?:, R\d+)*: [^\n]*?)(?:'|"),?(?: async| \(|$| )/gm,
    )) {
      const rows = title.slice(0, title.indexOf(':')).split(', ');
      const alone = at.length > 1 ? at.filter((one) => title.includes(words[one] ?? one)) : [];
      for (const row of rows)
        found.set(row, [...(found.get(row) ?? []), { file, title, at: alone.length > 0 ? alone : at }]);
    }
  }
  return found;
}

/** The page. Throws where a row has neither a test nor a reason at a provider. */
export function reliabilityPage(): string {
  const tests = tested();
  const untold: string[] = [];
  const lines = Object.entries(failures).map(([row, failure]) => {
    const own = tests.get(row) ?? [];
    const cells = columns.map((column) => {
      const count = own.filter(({ at }) => at.includes(column)).length;
      if (count > 0) return String(count);
      if (column === 'any') return '';
      if (own.some(({ at }) => at.includes('any'))) return '=';
      if (gaps[row]?.[column] === undefined) untold.push(`${row} at ${column}`);
      return '–';
    });
    return `| ${row} | ${failure} | ${cells.join(' | ')} |`;
  });
  if (untold.length > 0)
    throw new Error(`no test and no reason in tools/reliability-page.ts: ${untold.join(', ')}`);
  const reasons = Object.entries(gaps).flatMap(([row, of]) =>
    Object.entries(of).map(([column, reason]) => `- ${row} at ${column}: ${reason}.`),
  );
  const lists = Object.keys(failures).map((row) => {
    const own = (tests.get(row) ?? []).map(({ file, title }) => `- ${title} (\`${file}\`)`);
    return `### ${row}: ${failures[row]}\n${own.join('\n')}\n`;
  });
  return `# Failures that brokers really have, and what tests them

Made by \`npm run generate\` from the titles of the tests (\`tools/reliability-page.ts\`); CI checks that it is current. A number is how many tests
have the failure in their title at that provider, some of which run several times; \`=\`: it is decided in one place for all providers, and tested
there ("any"); \`–\`: no test of its own, for the reason below. The clouds are simulated, on-prem is real libvirt and real guests.

| | failure | ${columns.join(' | ')} |
|---|---|${columns.map(() => '--:|').join('')}
${lines.join('\n')}

${reasons.join('\n')}
- R13, R14 and R16 are of moving machines from host to host, which does not exist yet.

Beside these, [conformance.md](conformance.md) says what of the adapters' rules A1–A13 was tested on every kind, verb and fault.

## The tests
${lists.join('\n')}`;
}
