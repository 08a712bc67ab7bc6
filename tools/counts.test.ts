import { countBySuite, failureLines, sum, totalLine } from './counts.ts';
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

test('what failed is said again in short: the test, and the first lines of why', () => {
  expect(
    failureLines(
      {
        testResults: [
          {
            name: '/r/model/a.test.ts',
            status: 'failed',
            assertionResults: [
              { status: 'passed', fullName: 'it adds' },
              {
                status: 'failed',
                fullName: 'it counts',
                failureMessages: ['\u001b[31mError: three\u001b[39m\n\n  expected two\n    at a line'],
              },
            ],
          },
          { name: '/r/b.test.ts', status: 'failed', message: 'no such module', assertionResults: [] },
        ],
      },
      2,
    ),
  ).toEqual([
    '✕ it counts',
    '    Error: three',
    '      expected two',
    '✕ /r/b.test.ts did not run',
    '    no such module',
  ]);
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
