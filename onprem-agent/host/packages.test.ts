import { missingPackages, requiredPackages } from './packages.ts';

test('packages that are not installed are named', async () => {
  expect(await missingPackages(['dpkg', 'landfall-no-such-package'])).toEqual(['landfall-no-such-package']);
});

test('this machine has every package the tests with real guests need', async () => {
  expect(await missingPackages(requiredPackages)).toEqual([]);
});
