import { randomUUID } from 'node:crypto';
import type { Location } from '../contract.ts';
import { checkRule } from './journal.ts';
import { canLive, type Life, lifeRules, targetOf, wantOf } from './lives.ts';
import { context, ensureReady, errorOf, type Limits, removeFully, setFault, truthOf } from './probe.ts';
import type { Subject } from './subject.ts';

/** The rules for images that are imported from a URL: those of every life, and what is particular to it. */
export function importingRules(
  subjectNow: () => Subject,
  { labels, location }: { labels: Record<string, string>; location(): Location },
  limits: Limits,
): void {
  const imports = () => {
    const found = subjectNow().imports;
    if (!found)
      throw new Error('describe() says that images are imported, and the subject has none to import');
    return found;
  };
  const life: Life<'Image'> = {
    kind: 'Image',
    madeBy: 'import',
    variant: 'imported from a URL',
    lacks: (subject) =>
      subject.imports ? undefined : 'nothing that the suite may import is at a URL that this provider reads',
    spec: () => ({ name: 'golden', labels, source: imports().source, architecture: 'x86_64' }),
    location,
  };
  lifeRules(subjectNow, life, limits);

  const rule = (title: string, check: (subject: Subject) => Promise<void>) =>
    checkRule(
      { suite: limits.suite, kind: 'Image', title },
      async () => {
        const subject = subjectNow();
        if (await canLive(subject, await subject.adapter(), life)) await check(subject);
      },
      limits.testMs,
    );

  rule('an instance is made from an imported image', async (subject) => {
    const adapter = await subject.adapter();
    const [resource, machine] = [randomUUID(), randomUUID()];
    const image = await ensureReady(adapter, wantOf(subject, life, resource));
    const { image: public_ } = subject.want(machine, 1).spec;
    const custom = {
      name: 'golden',
      architecture: 'x86_64',
      user: public_?.user ?? '',
      custom: image.ref,
    } as const;
    expect(await ensureReady(adapter, subject.want(machine, 1, { image: custom }))).toMatchObject({
      state: 'ready',
    });
    await removeFully(adapter, subject.target(machine));
    await removeFully(adapter, targetOf(subject, life, resource));
    expect(await truthOf(subject, resource)).toEqual([]);
  });

  rule(
    'what cannot be imported is refused by its field before anything is made, and no error repeats the URL',
    async (subject) => {
      const adapter = await subject.adapter();
      for (const { source, field } of imports().refused) {
        const resource = randomUUID();
        const want = wantOf(subject, life, resource, 1, { source });
        for (const call of [adapter.validate(want), adapter.ensure(want, context())]) {
          const error = await errorOf(call, 'Invalid');
          expect({ source, field: error.details.field }).toEqual({ source, field: `/source/${field}` });
          expect(`${error.message} ${error.cause}`).not.toContain(source.url);
        }
        expect(await truthOf(subject, resource)).toEqual([]);
      }
    },
  );

  rule('a disk that cannot be read is told in the provider’s words, and leaves nothing', async (subject) => {
    if (!setFault(subject, 'import', { kind: 'unreadable' }, 'Image')) return;
    const adapter = await subject.adapter();
    const resource = randomUUID();
    const error = await errorOf(adapter.ensure(wantOf(subject, life, resource), context()), 'Invalid');
    expect(error.details.field).toMatch(/^\/source/);
    expect(error.details.providerCode).toBeTruthy();
    await removeFully(adapter, targetOf(subject, life, resource));
    expect(await truthOf(subject, resource)).toEqual([]);
  });
}
