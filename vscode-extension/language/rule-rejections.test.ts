import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { loadSnapshot } from '@landfall/policies';
import { cloudTable } from '@landfall/policies/place/offers.ts';
import { type RuleRejections, type RuleTarget, rejectionsRequest } from './protocol.ts';
import { TestClient } from './testing/client.ts';

const URI = 'file:///w/rules.yaml';
const POLICY = `apiVersion: landfall.dev/v1
kind: PlacementPolicy
metadata: {name: p}
spec:
  mode: audit
  rules:
  - name: eu
    when: request.dataClass == "restricted"
    require: offer.jurisdiction == "EU"
    maxPrice: 1 USD/hour
  - name: arm
    require: offer.architecture == "arm64"
  - name: hygiene
    labels: {required: [owner]}
`;
const INSTANCE = `---
apiVersion: landfall.dev/v1
kind: Instance
metadata: {name: web}
spec: {image: debian-12, vcpus: 2, memoryGiB: 4, architecture: any}
`;

let client: TestClient;
beforeEach(() => {
  client = new TestClient();
});
afterEach(() => client.close());

async function rejections(
  text: string,
  rule: string,
  asked: RuleTarget['asked'] = 'rejected',
): Promise<RuleRejections> {
  await client.open(URI, text);
  const found = await client.connection.sendRequest(rejectionsRequest, {
    uri: URI,
    policy: 'p',
    rule,
    asked,
  });
  if ('refused' in found) throw new Error(found.refused);
  return found;
}

test('what a rule rejects is counted offer by offer, whatever its mode, its clauses together and requests without labels aside', async () => {
  const table = cloudTable(loadSnapshot(), []);
  const offers = Array.from({ length: table.length }, (_, row) => table.offer(row));
  // The smallest machine asked for has one vCPU and one GiB; spot must be asked for.
  const { rejected, of, alone, offers: named, whereItApplies } = await rejections(POLICY, 'eu');
  const wrong = (offer: (typeof offers)[number]): boolean =>
    offer.jurisdiction !== 'EU' || offer.pricePerHour > 1;
  const judged = offers.filter(({ market, memoryGiB }) => market === 'onDemand' && memoryGiB >= 1);
  expect({ of, rejected, alone }).toEqual({
    of: judged.length,
    rejected: judged.filter(wrong).length,
    alone: judged.filter((offer) => wrong(offer) && offer.architecture === 'arm64').length,
  });
  expect(whereItApplies).toBe(true);
  expect(named).toHaveLength(200);
  for (const { offer } of named) expect([offer.architecture, wrong(offer)]).toEqual(['arm64', true]);
  const cheapest = judged.find((offer) => wrong(offer) && offer.architecture === 'arm64')!;
  expect(named[0]!.offer).toEqual(cheapest);
  for (const { offer, allowed, savingPerMonth } of named.slice(0, 20)) {
    const like = judged.find(
      (other) =>
        !wrong(other) &&
        other.architecture === 'arm64' &&
        other.vcpus >= offer.vcpus &&
        other.memoryGiB >= offer.memoryGiB &&
        other.gpuName === offer.gpuName &&
        other.gpuCount >= offer.gpuCount,
    );
    expect(allowed).toEqual(like ?? null);
    expect(savingPerMonth).toEqual(like ? like.pricePerMonth - offer.pricePerMonth : null);
  }
});

test('it is grouped by provider, region and family, each with all that it has', async () => {
  const { groups, rejected, of } = await rejections(POLICY, 'arm');
  const sum = (of: 'rejected' | 'of', list: typeof groups.region): number =>
    list.reduce((total, group) => total + group[of], 0);
  for (const list of Object.values(groups)) {
    expect(sum('rejected', list)).toBe(rejected);
    expect(list.map((group) => group.rejected)).toEqual(
      list.map((group) => group.rejected).sort((a, b) => b - a),
    );
  }
  expect(sum('of', groups.provider)).toBe(of);
  expect(groups.family.find(({ provider, name }) => provider === 'aws' && name === 'm5')).toBeDefined();
  expect(groups.family.find(({ provider, name }) => provider === 'aws' && name === 'm6g')).toBeUndefined();
});

test('machines of the workspace that it keeps from something better are named with what that would save', async () => {
  const enforced = POLICY.replace('audit', 'enforce')
    .replace('"arm64"', '"x86_64"')
    .replace(/ {2}- name: hygiene\n.*\n/, '');
  const { instances, related, line } = await rejections(enforced + INSTANCE, 'arm');
  expect(instances).toMatchObject([
    { subject: 'instance/web', uri: URI, line: expect.any(Number), offer: { architecture: 'arm64' } },
  ]);
  const [{ line: at, savingPerMonth }] = instances as [(typeof instances)[number]];
  expect((enforced + INSTANCE).split('\n')[at - 1]).toBe('metadata: {name: web}');
  expect(savingPerMonth).toBeGreaterThan(0);
  expect(related).toEqual([{ rule: 'eu', line: 7, both: expect.any(Number) }]);
  expect(line).toBe(11);
});

test('machines of files that are not open are named too', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'landfall-rejections-'));
  const inFolder = new TestClient(undefined, {
    workspaceFolders: [{ uri: pathToFileURL(folder).href, name: 'work' }],
  });
  try {
    writeFileSync(join(folder, 'web.yaml'), INSTANCE.slice(4));
    const uri = pathToFileURL(join(folder, 'eu.yaml')).href;
    await inFolder.open(
      uri,
      POLICY.split('\n').slice(0, 7).join('\n').replace('audit', 'enforce') +
        '\n    deny: offer.architecture == "arm64"\n',
    );
    const found = await inFolder.connection.sendRequest(rejectionsRequest, {
      uri,
      policy: 'p',
      rule: 'eu',
      asked: 'alone',
    });
    expect(found).toMatchObject({
      instances: [{ subject: 'instance/web', offer: { architecture: 'arm64' } }],
    });
  } finally {
    inFolder.close();
    rmSync(folder, { recursive: true });
  }
});

test('a rule of the same name in another policy is named with its place', async () => {
  const other = `---\n${POLICY.replace('name: p}', 'name: q}')}`;
  const { namesakes } = await rejections(POLICY + other, 'arm');
  expect(namesakes).toEqual([{ policy: 'q', uri: URI, line: 11 + POLICY.split('\n').length }]);
});

test('a rule that says nothing of offers, or has a mistake, is refused in words', async () => {
  await client.open(URI, POLICY);
  for (const rule of ['hygiene', 'nowhere'])
    expect(
      await client.connection.sendRequest(rejectionsRequest, {
        uri: URI,
        policy: 'p',
        rule,
        asked: 'alone',
      }),
    ).toEqual({ refused: expect.stringMatching(`no sound rule p/${rule} that rejects offers`) });
});
