import { moment, pricePerHour, span } from '@landfall/model/quantities.ts';
import { CommandError, exitCodeOf, ProblemError } from '../errors.ts';
import {
  explainedDecision,
  explainedUnplaceable,
  sampleDecision,
  unplaceableDecision,
} from '../fake/samples.ts';
import { coloursWanted, painter, plainPaint, printable } from './colours.ts';
import { renderDecision } from './decision.ts';
import { fieldOf, renderFailure, renderProblem } from './problem.ts';
import { Progress } from './progress.ts';
import { nearest } from './suggestion.ts';
import { renderFields, renderTable } from './table.ts';

describe('tables', () => {
  const columns = [
    { header: 'NAME', cell: (item: { name: string }) => item.name },
    { header: 'STATE', state: true, cell: () => 'Running' },
    { header: 'VCPUS', align: 'right' as const, cell: () => '4' },
    { header: 'ID', wide: true, cell: () => undefined },
  ];

  test('columns line up, and numbers stand at the right', () => {
    expect(renderTable(columns, [{ name: 'a' }, { name: 'longer' }])).toBe(
      'NAME     STATE     VCPUS\na        Running       4\nlonger   Running       4\n',
    );
  });
  test('wide shows more columns, and an absent value is a dash', () => {
    expect(renderTable(columns, [{ name: 'a' }], { wide: true })).toBe(
      'NAME   STATE     VCPUS   ID\na      Running       4   -\n',
    );
  });
  test('colours do not move columns', () => {
    const painted = renderTable(columns, [{ name: 'a' }], { paint: painter(true) });
    expect(painted).toContain('\x1b[32mRunning\x1b[0m');
    expect(painted.replaceAll(/\x1b\[\d+m/g, '')).toBe(renderTable(columns, [{ name: 'a' }]));
  });
  test('a value from elsewhere cannot rewrite the terminal or break the row', () => {
    expect(renderTable(columns, [{ name: 'a\x1b[2Jb\nc' }])).toMatch(/^a\uFFFD\[2Jb c {3}Running/m);
    expect(printable('\x9b31m')).toBe('\uFFFD31m');
  });
  test('fields without a value are left out', () => {
    expect(
      renderFields([
        ['State', 'Running'],
        ['Message', undefined],
        ['Labels', 'a=1\nb=2'],
      ]),
    ).toBe('  State:  Running\n  Labels: a=1\n          b=2\n');
  });
});

test('colours are for terminals without NO_COLOR and --no-color', () => {
  expect(coloursWanted(true, {}, true)).toBe(true);
  expect(coloursWanted(false, {}, true)).toBe(false);
  expect(coloursWanted(true, { NO_COLOR: '1' }, true)).toBe(false);
  expect(coloursWanted(true, {}, false)).toBe(false);
});

test('times and prices read as people write them', () => {
  expect([5e3, 119e3, 125e3, 3 * 36e5, 3 * 36e5 + 6e4, 50 * 36e5].map(span)).toEqual([
    '5s',
    '119s',
    '2m',
    '3h',
    '3h1m',
    '2d2h',
  ]);
  expect(pricePerHour(0.0104, 'USD')).toBe('$0.0104');
  expect(pricePerHour(0.000123)).toBe('$0.000123');
  expect(pricePerHour(1, 'EUR')).toBe('1.0000 EUR');
  expect(moment('2026-11-20T16:00:00Z', Date.parse('2026-11-20T16:05:00Z'))).toBe(
    '2026-11-20 16:00:00 UTC (5m ago)',
  );
});

test('a mistyped word is answered with the nearest known one, and a far one with none', () => {
  const known = ['vcpus', 'memoryGiB', 'image'];
  expect(nearest('vcpu', known)).toBe('vcpus');
  expect(nearest('vpcus', known)).toBe('vcpus');
  expect(nearest('memory', known)).toBe('memoryGiB');
  expect(nearest('colour', known)).toBeUndefined();
});

describe('a decision', () => {
  test('has its answer in the first three lines', () => {
    const [first, second, third] = renderDecision(sampleDecision, { subject: 'instance/web' }).split('\n');
    expect(first).toBe(
      'instance/web lands on on-prem dc1, host kvm1: flex (2 vCPU, 4 GiB, x86_64, onDemand)',
    );
    expect(second).toBe('$0.0208 an hour, $15.18 a month; site local');
    expect(third).toBe('the cheapest of 41,874 compliant offers (65,215 considered)');
  });
  test('shows runner-ups, the rules that rejected with their lines, and what the catalogue says of itself', () => {
    const text = renderDecision(sampleDecision, { subject: 'instance/web', full: true });
    expect(text).toMatch(/gcp +- +us-central1 +e2-medium +2 +4 GiB +\$0\.0335 +\$24\.46 +\+61%/);
    expect(text).toMatch(/policies +41,874 +8,126/);
    expect(text).toMatch(/eu-data\/residency +8,126 +7,000 +eu-data:12 +enforce +must stay in the EU/);
    expect(text).not.toContain('eu-data/idle');
    expect(text).toContain('notice: list prices of March 2025');
  });
  test('tells a preference without a value from a rule that rejects for lack of one, and what is cheaper from what is dearer', () => {
    const unknown = { ...sampleDecision.rules[0]!, errors: 12 };
    const [cheaper] = sampleDecision.fallbacks;
    const text = renderDecision(
      {
        ...sampleDecision,
        rules: [unknown, { ...unknown, rule: 'green', effect: 'prefer', rejected: 0 }],
        fallbacks: [{ ...cheaper!, pricePerHour: sampleDecision.winner!.pricePerHour / 2 }],
      },
      { subject: 'instance/web' },
    );
    expect(text).toMatch(/residency .*; 12 because a value that the rule reads is not known there/);
    expect(text).toMatch(/green .*not met by 12 because a value/);
    expect(text).toMatch(/−50%/);
  });
  test('says how many GPUs come with the place, and of what model', () => {
    const winner = { ...sampleDecision.winner!, gpuCount: 2, gpuName: 'A100' };
    expect(renderDecision({ ...sampleDecision, winner }, { subject: 'x' })).toContain('GiB, 2 A100, ');
  });
  test('in short leaves out the funnel and the sources, but not what the prices say of themselves', () => {
    const text = renderDecision(sampleDecision, { subject: 'instance/web' });
    expect(text).not.toMatch(/Funnel|Made from/);
    expect(text.match(/list prices of March 2025/g)).toHaveLength(1);
  });
  test('says in its third line what the dearest rule costs, and then what comes with the place', () => {
    const lines = renderDecision(explainedDecision, { subject: 'instance/web' }).split('\n');
    expect(lines.slice(2, 7)).toEqual([
      'the best of 41,874 compliant offers (65,215 considered); without eu-data/residency it would be $2.92 a month less',
      'needs the approval of finops or cto within 24 h (eu-data/big: over 50)',
      'is deleted after 72 h: a rule says so',
      'takes 15.184 of the 100 USD/month of project=shop (eu-data/spend); 40 were used',
      'eu-data/no-spot is set aside until 2026-12-01T00:00:00Z by ann: migration',
    ]);
  });
  test('names each change that would be cheaper with its rule and saving, the largest first', () => {
    const text = renderDecision(explainedDecision, { subject: 'instance/web' });
    const shown = text.slice(text.indexOf('What would be cheaper or better')).replaceAll(/ +/g, ' ');
    expect(shown.split('\n').slice(1, 7)).toEqual([
      ' IF WHERE LANDS ON PRICE/MONTH SAVES/MONTH',
      ' host kvm2 had 1 vCPU, 1 GiB of disk, 2 GPUs more - on-prem dc1, host kvm2 flex $7.30 $7.88',
      ' without eu-data/residency eu.yaml:12 AWS us-east-1 t4g.small $12.26 $2.92',
      ' eu-data/green: offer.carbon < 200.0: 200 → above 379 eu.yaml:14 AWS us-east-1 t4g.small $12.26 $2.92',
      ' eu-data/gpus (region=us-east-1): limit 16 → 17 vcpu eu.yaml:20 AWS us-east-1 t4g.small $12.26 $2.92',
      ' 1 more change with --full',
    ]);
    const full = renderDecision(explainedDecision, { subject: 'instance/web', full: true });
    expect(full).toMatch(/the request: at least 4 GiB of memory: 4 → 2 .*−\$1\.00/);
    expect(full).toMatch(/eu-data\/green +no +\$0\.73/);
  });
  test('that fits nowhere names the rules to drop, and where it would land then', () => {
    const text = renderDecision(explainedUnplaceable, { subject: 'instance/web' });
    expect(text).toMatch(
      /without eu-data\/residency and eu-data\/gold +eu\.yaml:12, eu\.yaml:15 +AWS us-east-1 t4g\.small +\$12\.26/,
    );
    expect(text.split('\n')[2]).toBe(
      'without eu-data/residency and eu-data/gold it would land on AWS us-east-1: t4g.small, $12.26 a month',
    );
    expect(text).not.toContain('SAVES');
  });
  test('that fits nowhere says so first, and why', () => {
    const text = renderDecision(unplaceableDecision, { subject: 'instance/web' });
    expect(text.split('\n').slice(0, 2)).toEqual([
      'instance/web fits nowhere: 65,215 offers considered, 0 compliant.',
      'eu-data/residency rejects every offer that is large enough',
    ]);
    expect(text).toContain('no site holds certification C5');
  });
});

describe('problems', () => {
  const problem = {
    type: 't',
    title: 'Not valid',
    status: 400,
    detail: 'two errors',
    errors: [
      {
        pointer: '/spec/placement/providers/0',
        message: 'must be one of aws, onprem',
        value: 'amazon',
        suggestion: 'Did you mean "aws"?',
      },
    ],
  };

  test('show each error with field, value and what would be right', () => {
    expect(renderProblem(problem)).toBe(
      'Error: Not valid: two errors.\n  spec.placement.providers[0]: must be one of aws, onprem (it is "amazon"). Did you mean "aws"?\n',
    );
    expect(fieldOf('/metadata/labels/a~1b')).toBe('metadata.labels.a/b');
  });
  test('never show a stack unless asked', () => {
    const error = new TypeError('boom');
    expect(renderFailure(error)).toBe(
      'Error: TypeError: boom\nThis is a defect of landfall. LANDFALL_DEBUG=1 shows where.\n',
    );
    expect(renderFailure(error, { debug: true })).toContain('output.test.ts');
    expect(renderFailure(new CommandError('No.', { hint: 'Do.' }))).toBe('Error: No.\nDo.\n');
  });
  test('stand for exit codes', () => {
    const codes = [400, 422, 401, 403, 404, 409, 412, 428, 500, 503].map((status) =>
      exitCodeOf({ status, type: 'about:blank' }),
    );
    expect(codes).toEqual([2, 2, 4, 4, 3, 5, 5, 5, 1, 6]);
    expect(new ProblemError(problem).exitCode).toBe(2);
    for (const code of ['policy-refused', 'limit-exceeded'])
      expect(exitCodeOf({ status: 422, type: `https://landfall.dev/problems/${code}` })).toBe(7);
  });
});

describe('progress', () => {
  const record = (live: boolean): { progress: Progress; text: () => string } => {
    let text = '';
    const write = (more: string): void => {
      text += more;
    };
    return { progress: new Progress({ write, live, columns: 60, paint: plainPaint }), text: () => text };
  };

  test('is a line per change where it is piped', () => {
    const { progress, text } = record(false);
    for (const state of ['pending', 'pending', 'running: boots']) progress.update('instance/a', state);
    progress.end('instance/a', 'succeeded', true);
    expect(text()).toBe('instance/a: pending\ninstance/a: running: boots\ninstance/a: succeeded (0s)\n');
  });
  test('is one line that changes on a terminal, and no wider than it', () => {
    const { progress, text } = record(true);
    progress.update('instance/a', 'x'.repeat(200));
    progress.update('instance/b', 'pending');
    progress.end('instance/a', 'succeeded', true);
    progress.end('instance/b', 'failed', false);
    const drawn = text().split('\r\x1b[K');
    expect(Math.max(...drawn.map((line) => line.replace(/\n$/, '').length))).toBeLessThan(60);
    expect(text()).toContain('✓ instance/a: succeeded (0s)\n');
    expect(text().endsWith('✗ instance/b: failed (0s)\n\r\x1b[K')).toBe(true);
  });
});
