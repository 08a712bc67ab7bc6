import type { RuleName } from '../language/protocol.ts';
import { type PageLinks, RuleNames } from './page.ts';

const links: PageLinks = {
  line: (uri, line) => `${uri}#${line}`,
  decision: ({ id }) => `decision:${id}`,
  rule: ({ policy, rule, uri, subject, atBroker }: RuleName) =>
    `rule:${[policy, rule, uri, subject, atBroker].join(' ')}`,
};
const eu = { policy: 'eu', rule: 'residency' };

test('a rule is linked by its names, with the file where one of the workspace had it', () => {
  const names = new RuleNames(links, { subject: 'instance/web', atBroker: false });
  expect(names.of({ ...eu, file: 'file:///w/eu.yaml' })).toBe(
    '<a href="rule:eu residency file:///w/eu.yaml instance/web false">eu/residency</a>',
  );
  expect(names.of({ ...eu, file: 'eu' })).toBe(
    '<a href="rule:eu residency  instance/web false">eu/residency</a>',
  );
});

test('names of rules inside a text become links, and no others; the rest of it stays text', () => {
  const names = new RuleNames(links, {});
  expect(names.in('no big ones: cap/no big ones', [{ policy: 'cap', rule: 'no big ones' }])).toBe(
    'no big ones: <a href="rule:cap no big ones   ">cap/no big ones</a>',
  );
  expect(names.in('<eu>', [])).toBe('&lt;eu&gt;');
  expect(names.in('eu/residency & eu/residency-2 <b> x/eu/residency.', [eu])).toBe(
    '<a href="rule:eu residency   ">eu/residency</a> &amp; eu/residency-2 &lt;b&gt; x/eu/residency.',
  );
});

test('a rule of a policy that was tried is linked to the file that it was tried from', () => {
  const names = new RuleNames(links, { atBroker: true }, { eu: 'file:///w/new.yaml' });
  expect(names.of({ ...eu, file: 'new.yaml' })).toBe(
    '<a href="rule:eu residency file:///w/new.yaml  true">eu/residency</a>',
  );
});
