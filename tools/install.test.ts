import { type InstallEvidence, installDecision } from './install.mjs';

const current: InstallEvidence = {
  installed: true,
  stamp: { lockHash: 'a', target: 'linux-x64', time: 100 },
  lockHash: 'a',
  target: 'linux-x64',
  lockTime: 50,
  hiddenLockTime: 90,
};

test.each<[string, Partial<InstallEvidence>, boolean]>([
  ['the same lock file', {}, false],
  ['a lock file touched by git but the same', { lockTime: 500 }, false],
  ['no node_modules', { installed: false, stamp: undefined, hiddenLockTime: undefined }, true],
  ['another lock file', { lockHash: 'b', lockTime: 500 }, true],
  ['another machine', { target: 'linux-arm64' }, true],
  ['npm run by hand for the new lock file', { lockHash: 'b', lockTime: 500, hiddenLockTime: 600 }, false],
  ['npm run by hand, no stamp', { stamp: undefined }, false],
  ['lock file newer than what npm left', { stamp: undefined, lockTime: 91 }, true],
  ['an interrupted install', { stamp: undefined, hiddenLockTime: undefined }, true],
])('%s', (_name, change, install) => {
  expect(installDecision({ ...current, ...change }).install).toBe(install);
});
