import { FakeHome } from '../fake/terminal.ts';

let home: FakeHome;
beforeEach(() => {
  home = new FakeHome();
});
afterEach(() => home.remove());

test('packs are listed with what they do, and printed as files that are valid', async () => {
  const listed = await home.run('policy pack');
  expect(listed.code).toBe(0);
  expect(listed.out).toMatch(/^cost-guard +Spending stays in bounds/m);
  const shown = await home.run('policy pack cost-guard');
  expect(shown.out).toMatch(/^metadata: \{name: cost-guard\}$/m);
});

test('a name that is almost a pack is answered with the pack', async () => {
  const ran = await home.run('policy pack cost-gard');
  expect(ran.code).toBe(2);
  expect(ran.err).toContain('There is no policy pack cost-gard.\nDid you mean "cost-guard"? There are ');
});
