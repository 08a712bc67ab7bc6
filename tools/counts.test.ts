import { countBySuite, sum, totalLine } from './counts.ts';
import { parseSelection } from './test-runner.ts';

test('counts by suite; a file that does not load is one failure', () => {
  const rows = countBySuite(
    {
      testResults: [
        {
          name: '/r/model/a.test.ts',
          status: 'passed',
          assertionResults: [{ status: 'passed' }, { status: 'pending' }],
        },
        {
          name: '/r/model/b.test.ts',
          status: 'failed',
          assertionResults: [{ status: 'failed' }, { status: 'passed' }],
        },
        { name: '/r/store/c.test.ts', status: 'failed', assertionResults: [] },
      ],
    },
    (file) => file.split('/')[2] as string,
  );
  expect(rows).toMatchObject([
    { suite: 'model', passed: 2, failed: 1, skipped: 1 },
    { suite: 'store', passed: 0, failed: 1, skipped: 0 },
  ]);
  expect(totalLine(sum(rows))).toBe('2 passed, 2 failed, 1 skipped');
  expect(totalLine({ passed: 3, failed: 0, skipped: 0 })).toBe('3 passed, 0 failed');
});

test('the command line: suites, patterns, and what is for jest', () => {
  expect(parseSelection([])).toMatchObject({ suites: ['unit', 'e2e'], patterns: [] });
  expect(parseSelection(['unit', 'store', '-t', 'a name', '--verbose', '--file-limit', '60'])).toEqual({
    suites: ['unit'],
    patterns: ['store'],
    jestArgs: ['--testNamePattern', 'a name', '--verbose'],
    fileLimitSeconds: 60,
  });
});
