import { type Findings, summaryLines } from './summary.ts';

const findings: Findings = {
  sites: [
    { name: 'local', spec: { provider: 'onprem' }, status: { state: 'Ready', message: '' } },
    { name: 'cloud', spec: { provider: 'aws' }, status: { state: 'Denied', message: 'no credentials' } },
  ],
  hosts: [{ name: 'vm', site: 'local', accel: 'tcg', state: 'Ready', lastSeenAt: '' }],
};

test('says where it is, what was found, what is off and why', () => {
  const lines = summaryLines({
    headline: 'Landfall is up.',
    dataDir: '/data',
    record: {
      supervisor: { pid: 1, started: '' },
      parts: {},
      phase: 'ready',
      since: '',
      url: 'http://127.0.0.1:7420',
      temporalAddress: '127.0.0.1:7233',
      notes: ['port 7420 was taken'],
    },
    findings,
    brokerRuns: true,
    stopHint: 'npm run down',
  }).map((line) => line.trim().replace(/ {2,}/g, ' | '));
  expect(lines).toEqual([
    'Landfall is up.',
    'URL | http://127.0.0.1:7420',
    'API docs | http://127.0.0.1:7420/docs',
    'token | /data/admin.token',
    'Temporal | 127.0.0.1:7233',
    'data | /data',
    'logs | /data/logs',
    'sites | local (onprem): vm (emulation)',
    'cloud (aws, Denied: no credentials)',
    'note | port 7420 was taken',
    'KVM does not boot guests here: using emulation, about 10 times slower',
    'stop | npm run down',
  ]);
});
