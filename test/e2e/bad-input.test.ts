/** Whatever is sent: a clear answer with the place of the mistake, and nothing changed. At the command line and at the API. */
import { request as openRequest } from 'node:http';
import { Installation } from './installation.ts';
import { everything, request } from './requests.ts';

let installation: Installation;
const landfall: Installation['landfall'] = (...given) => installation.landfall(...given);
beforeAll(async () => {
  installation = await Installation.start({ parts: ['postgres', 'temporal', 'broker'] });
  await installation.succeed(['apply', '-f', instance('kept', '  image: tiny\n  vcpus: 1\n  memoryGiB: 1')]);
}, 300_000);

afterAll(async () => {
  await installation?.close();
}, 60_000);

/** A manifest file of one Instance. */
function instance(name: string, spec: string, metadata = ''): string {
  const text = `apiVersion: landfall.dev/v1\nkind: Instance\nmetadata: {name: ${name}${metadata}}\nspec:\n${spec}\n`;
  return installation.file(`${name}.yaml`, text);
}

const call = (...given: [string, string, Parameters<typeof request>[3]?]) => request(installation, ...given);

const tokenOf = async (body: object): Promise<string> =>
  (await call('POST', '/v1/tokens', { body })).body.secret;

/** Nothing is otherwise after it than before. */
async function unchanged(work: () => Promise<void>): Promise<void> {
  const before = await everything(installation);
  await work();
  expect(await everything(installation)).toEqual(before);
}

const create = '/v1/projects/default/instances';
const input = (name: string, spec: object = {}) => ({
  name,
  spec: { image: 'tiny', vcpus: 1, memoryGiB: 1, ...spec },
});

test.each([
  [
    'an unknown field',
    '  image: tiny\n  vcpu: 1\n  memoryGiB: 1',
    2,
    /:6:3 spec\.vcpu: unknown field\. Did you mean "vcpus"\?/,
  ],
  [
    'a wrong type',
    '  image: tiny\n  vcpus: two\n  memoryGiB: 1',
    2,
    /:6:10 spec\.vcpus: must be (an )?integer/,
  ],
  [
    'a size of nothing',
    '  image: tiny\n  vcpus: 0\n  memoryGiB: -1',
    2,
    /:6:10 spec\.vcpus: .*1[\s\S]*:7:14 spec\.memoryGiB: .*0/,
  ],
  [
    'a size beyond everything',
    '  image: tiny\n  vcpus: 100000\n  memoryGiB: 1',
    2,
    /:6:10 spec\.vcpus: .*1024/,
  ],
  [
    'an unknown image',
    '  image: debain-12\n  vcpus: 1\n  memoryGiB: 1',
    2,
    /:5:10 spec\.image: there is no image named debain-12; did you mean debian-12\?\n/,
  ],
  [
    'an unknown site',
    '  image: tiny\n  vcpus: 1\n  memoryGiB: 1\n  placement: {sites: [locl]}',
    2,
    /:8:23 spec\.placement\.sites\[0\]: there is no site named locl; did you mean local\?\n/,
  ],
] as const)(
  '%s in a manifest is shown with its line and column',
  async (_what, spec, code, message) => {
    const file = instance('wrong', spec);
    await unchanged(async () => {
      const ran = await landfall(['apply', '-f', file]);
      expect(ran).toMatchObject({ code, stdout: '' });
      expect(ran.stderr).toMatch(message);
      expect(ran.stderr).not.toMatch(/\n\s+at /);
    });
  },
  60_000,
);

test('an unknown project is not found, and every mistake of a file is told at once', async () => {
  const elsewhere = instance('wrong', '  image: tiny\n  vcpus: 1\n  memoryGiB: 1', ', project: defualt');
  const twice = instance('twice', '  image: tiny\n  vcpu: 1\n  memroyGiB: 1');
  await unchanged(async () => {
    expect(await landfall(['apply', '-f', elsewhere])).toMatchObject({ code: 3 });
    const ran = await landfall(['apply', '-f', twice]);
    expect(ran.stderr).toMatch(/vcpus[\s\S]*memoryGiB/);
  });
}, 60_000);

test('a size that no offer has fits nowhere, with the reason', async () => {
  const ran = await landfall([
    'plan',
    '-f',
    instance('huge', '  image: debian-12\n  vcpus: 1000\n  memoryGiB: 30000'),
  ]);
  expect(ran.code).toBe(1);
  expect(ran.stdout).toMatch(/^instance\/huge fits nowhere: [\d,]+ offers considered, 0 compliant\.$/m);
  expect(ran.stdout).toMatch(/no offer at all has at least 1000 vCPUs \(the most there is: \d+\)/);
}, 60_000);

test('a YAML bomb, a manifest of 2 MiB and no YAML at all are refused at once', async () => {
  const letters = [...'bcdefghij'];
  const bomb = [
    'a: &a [x, x, x, x, x, x, x, x, x]',
    ...letters.map(
      (letter, index) => `${letter}: &${letter} [${Array(9).fill(`*${'abcdefghij'[index]}`).join(', ')}]`,
    ),
  ].join('\n');
  await unchanged(async () => {
    const started = Date.now();
    const exploded = await landfall('apply -f -', { input: bomb });
    expect(exploded.code).toBe(2);
    expect(exploded.stderr).toMatch(/<stdin>:1:1 .*alias/i);
    expect(Date.now() - started).toBeLessThan(10_000);
    const large = await landfall([
      'apply',
      '-f',
      installation.file('large.yaml', `# ${'x'.repeat(2 << 20)}\n`),
    ]);
    expect(large).toMatchObject({ code: 2, stderr: expect.stringMatching(/larger than 1 MiB/) });
    const none = await landfall('apply -f -', { input: 'kind: [unclosed\n' });
    expect(none).toMatchObject({ code: 2, stderr: expect.stringMatching(/<stdin>:\d+:\d+ /) });
    const policy = await call('PUT', '/v1/policies/bomb', { body: { source: bomb } });
    expect(policy.status).toBe(422);
  });
}, 60_000);

test('a policy with errors is refused with line and column of each, here and by the broker', async () => {
  const source = `apiVersion: landfall.dev/v1\nkind: PlacementPolicy\nmetadata: {name: broken, scope: organizations/default}\nspec:\n  mode: enforce\n  rules:\n  - name: cap\n    require: offer.pricePerHour < "cheap"\n  - name: typo\n    require: offer.jurisdicton == "EU"\n`;
  const file = installation.file('broken.yaml', source);
  await unchanged(async () => {
    for (const line of [
      ['policy', 'put', '-f', file],
      ['apply', '-f', file],
    ]) {
      const ran = await landfall(line);
      expect(ran.code).toBe(2);
      expect(ran.stderr).toMatch(/broken\.yaml:8:14 error .*double < string/);
      expect(ran.stderr).toMatch(/broken\.yaml:10:20 error .*jurisdicton.*offer\.jurisdiction/);
    }
    const { status, body } = await call('PUT', '/v1/policies/broken', {
      body: { source, file: 'broken.yaml' },
    });
    expect(status).toBe(422);
    expect(body.errors.map(({ message }: { message: string }) => message.split(' ')[0])).toEqual([
      'broken.yaml:8:14:',
      'broken.yaml:10:20:',
    ]);
  });
}, 60_000);

test('a policy test whose file of offers is CSV fails and says what is wrong with the file', async () => {
  installation.file('offers.csv', 'InstanceType,vCPUs\nm5.large,"two\n');
  const file = installation.file(
    'csv.yaml',
    'apiVersion: landfall.dev/v1\nkind: PlacementPolicy\nmetadata: {name: csv, scope: organizations/default}\nspec:\n  mode: enforce\n  rules:\n  - {name: cap, require: offer.pricePerHour < 1.0}\ntests:\n- name: offers of a file\n  request: {vcpus: 2}\n  offers: offers.csv\n  expect: {unplaceable: true}\n',
  );
  const ran = await landfall(['policy', 'test', '-f', file]);
  expect(ran.code).toBe(1);
  expect(ran.stdout).toMatch(/failed csv: offers of a file[^\n]*\n +.*offers\.csv/);
}, 60_000);

test('a body that is wrong is answered with pointers, and half of JSON with its position', async () => {
  await unchanged(async () => {
    const extra = await call('POST', create, { body: { ...input('x'), extra: 1 } });
    expect(extra).toMatchObject({
      status: 400,
      body: { type: 'https://landfall.dev/problems/invalid', errors: [{ pointer: '/extra' }] },
    });
    expect(extra.headers.get('content-type')).toBe('application/problem+json');
    const types = await call('POST', create, {
      body: input('x', { vcpus: '1', placement: { providers: ['mars'] } }),
    });
    expect(types.status).toBe(400);
    expect(types.body.errors.map(({ pointer }: { pointer: string }) => pointer).sort()).toEqual([
      '/spec/placement/providers/0',
      '/spec/vcpus',
    ]);
    const half = await call('POST', create, { body: '{"name": "x",' });
    expect(half.body).toMatchObject({ status: 400, detail: expect.stringMatching(/line 1, column 14/) });
    const form = await call('POST', create, {
      body: 'name=x',
      headers: { 'content-type': 'application/x-www-form-urlencoded' },
    });
    expect(form.status).toBe(415);
    const method = await call('DELETE', create);
    expect(method.status).toBe(405);
    expect(method.headers.get('allow')).toMatch(/GET/);
  });
}, 60_000);

test('a body of 20 MB is refused before it is sent', async () => {
  const size = 20_000_000;
  await unchanged(async () => {
    const { port } = new URL(installation.stack.url);
    const answered = await new Promise<{ status: number; sent: number }>((done, failed) => {
      let sent = 0;
      const sending = openRequest(
        {
          host: '127.0.0.1',
          port,
          path: create,
          method: 'POST',
          headers: {
            authorization: `Bearer ${installation.stack.adminToken}`,
            'content-type': 'application/json',
            'content-length': size,
          },
        },
        (response) => {
          clearInterval(timer);
          response.resume();
          done({ status: response.statusCode ?? 0, sent });
        },
      );
      // The broker closes what it does not read; the answer has come by then.
      sending.on('error', failed);
      const timer = setInterval(() => {
        sent += 65_536;
        sending.write(Buffer.alloc(65_536, 32));
      }, 50);
      sending.flushHeaders();
    });
    expect(answered.status).toBe(413);
    expect(answered.sent).toBeLessThan(2_000_000);
  });
  expect((await call('GET', '/healthz')).status).toBe(200);
}, 60_000);

test('a stale ETag is 412, no If-Match is 428, and nothing is lost by either', async () => {
  const path = `${create}/kept`;
  await unchanged(async () => {
    expect((await call('DELETE', path)).status).toBe(428);
    expect((await call('PATCH', path, { body: { labels: { a: 'b' } } })).status).toBe(428);
    expect((await call('DELETE', path, { headers: { 'if-match': '"0"' } })).status).toBe(412);
    expect(
      (await call('PATCH', path, { body: { labels: { a: 'b' } }, headers: { 'if-match': '"999"' } })).status,
    ).toBe(412);
  });
}, 60_000);

test('an idempotency key answers a repeat as the first time, and refuses another body with 422', async () => {
  const headers = { 'idempotency-key': 'one-of-them' };
  const first = await call('POST', create, { body: input('once'), headers });
  expect(first.status).toBe(202);
  await unchanged(async () => {
    const repeated = await call('POST', create, { body: input('once'), headers });
    expect(repeated).toMatchObject({ status: 202, body: { id: first.body.id } });
    expect((await call('POST', create, { body: input('twice'), headers })).status).toBe(422);
    // Without the key it is a second request for a name that is taken.
    expect((await call('POST', create, { body: input('once') })).status).toBe(409);
  });
}, 60_000);

test('no token, a wrong one, an expired one and a revoked one are all 401, and the CLI says what to do', async () => {
  const made = await call('POST', '/v1/tokens', { body: { name: 'brief', role: 'viewer', expiresIn: '1s' } });
  const revoked = await call('POST', '/v1/tokens', { body: { name: 'revoked', role: 'viewer' } });
  expect((await call('GET', '/v1/sites', { token: revoked.body.secret })).status).toBe(200);
  expect(
    (await call('DELETE', `/v1/tokens/${revoked.body.id}`, { headers: { 'if-match': '*' } })).status,
  ).toBe(204);
  await new Promise((resolve) =>
    setTimeout(resolve, Math.max(0, Date.parse(made.body.expiresAt) - Date.now()) + 50),
  );
  await unchanged(async () => {
    for (const token of ['', 'lf_wrong', `lf_${'a'.repeat(43)}`, made.body.secret, revoked.body.secret])
      expect((await call('GET', '/v1/sites', { token })).status).toBe(401);
    const ran = await landfall(['--token', made.body.secret, 'get', 'sites']);
    expect(ran.code).toBe(4);
    expect(ran.stderr).toMatch(/expired[\s\S]*landfall login/);
  });
}, 60_000);

test('a token of another project sees and changes nothing here, and a viewer changes nothing', async () => {
  await installation.succeed('apply -f -', {
    input: 'apiVersion: landfall.dev/v1\nkind: Project\nmetadata: {name: other}\n',
  });
  const token = await tokenOf({ name: 'theirs', role: 'operator', project: 'other' });
  const viewer = await tokenOf({ name: 'viewer', role: 'viewer' });
  const operation = (await call('GET', '/v1/operations')).body.items[0].id;
  await unchanged(async () => {
    for (const path of [create, `${create}/kept`, `/v1/operations/${operation}`, '/v1/projects/default'])
      expect([403, 404]).toContain((await call('GET', path, { token })).status);
    expect([403, 404]).toContain((await call('POST', create, { token, body: input('theirs') })).status);
    expect([403, 404]).toContain(
      (await call('DELETE', `${create}/kept`, { token, headers: { 'if-match': '*' } })).status,
    );
    expect(
      (
        await call('POST', '/v1/sites', {
          token,
          body: { name: 's', spec: { provider: 'onprem', regions: ['s'] } },
        })
      ).status,
    ).toBe(403);
    expect(
      (await call('GET', '/v1/projects', { token })).body.items.map(({ name }: { name: string }) => name),
    ).toEqual(['other']);
    const operations = await call('GET', '/v1/operations', { token });
    expect(operations.body.items).toEqual([]);
    const refused = await landfall(['--token', viewer, 'delete', 'instance', 'kept']);
    expect(refused.code).toBe(4);
    expect(refused.stderr).toMatch(/landfall whoami/);
  });
}, 60_000);

test('a mistyped command, kind and name are answered with what was meant, or what there is', async () => {
  const kind = await landfall('get instnces');
  expect(kind).toMatchObject({ code: 2, stderr: expect.stringMatching(/Did you mean "instances"\?/) });
  expect(await landfall('describe instance kpet')).toMatchObject({ code: 3 });
  expect(await landfall('frobnicate')).toMatchObject({
    code: 2,
    stderr: expect.stringMatching(/frobnicate/),
  });
  const away = await landfall('--url http://127.0.0.1:9 --token lf_x get sites');
  expect(away).toMatchObject({ code: 6, stderr: expect.stringMatching(/127\.0\.0\.1:9/) });
}, 60_000);

test('restricted data lands in the EU once its policy is in force, with what each rule rejected', async () => {
  const restricted = (more: string) =>
    instance(
      'restricted',
      `  image: debian-12\n  vcpus: 2\n  memoryGiB: 4\n  dataClass: restricted\n${more}`,
    );
  expect(await installation.succeed('policy test -f examples/policies/eu-restricted.yaml')).toMatch(
    /\b5 passed, 0 failed/,
  );
  expect(await installation.succeed('policy put -f examples/policies/eu-restricted.yaml')).toMatch(
    /policy\/eu-restricted created/,
  );
  const decision = JSON.parse(await installation.succeed(['plan', '-f', restricted(''), '-o', 'json']));
  expect(decision).toMatchObject({ outcome: 'placed', winner: { jurisdiction: 'EU', burstable: false } });
  const counts = Object.fromEntries(
    decision.rules.map(({ rule, rejected }: { rule: string; rejected: number }) => [rule, rejected]),
  );
  expect(counts.residency).toBeGreaterThan(1000);
  expect(counts['no-burstable']).toBeGreaterThan(10);
  expect(counts['known-providers']).toBe(0);
  const shown = await installation.succeed(['plan', '-f', restricted('')]);
  expect(shown).toMatch(
    /eu-restricted\/residency +[\d,]+ +[\d,]+ +\S+:15 +enforce +data class restricted must stay in the EU/,
  );
  const refused = await landfall(['plan', '-f', restricted('  placement: {regions: [us-east-1]}')]);
  expect(refused.code).toBe(1);
  expect(refused.stdout).toMatch(
    /rule eu-restricted\/residency \(line 15\) rejects [\d,]+: data class restricted must stay in the EU/,
  );
  // Everybody else's data goes where it went before.
  const free = JSON.parse(
    await installation.succeed([
      'plan',
      '-f',
      instance('free', '  image: debian-12\n  vcpus: 2\n  memoryGiB: 4'),
      '-o',
      'json',
    ]),
  );
  expect(free.winner.pricePerHour).toBeLessThan(decision.winner.pricePerHour);
  await installation.succeed('policy delete eu-restricted');
}, 120_000);

test('a test machine that is too dear is refused by cost-guard with its message, and by nothing once it is in audit mode', async () => {
  const large = instance(
    'large',
    '  image: debian-12\n  vcpus: 64\n  memoryGiB: 256',
    ', labels: {env: test}',
  );
  await installation.succeed('policy put -f examples/policies/cost-guard.yaml');
  const refused = await landfall(['plan', '-f', large]);
  expect(refused.code).toBe(1);
  expect(refused.stdout).toMatch(
    /rule cost-guard\/price-cap \(line 15\) rejects [\d,]+: a test machine may cost 150 USD a month/,
  );
  const audited = installation.file(
    'audited.yaml',
    (
      await installation
        .succeed('policy get cost-guard -o json')
        .then((text) => JSON.parse(text).source as string)
    ).replace('mode: enforce', 'mode: audit'),
  );
  await installation.succeed(['policy', 'put', '-f', audited]);
  const shown = await landfall(['plan', '-f', large]);
  expect(shown.code).toBe(0);
  expect(shown.stdout).toMatch(/cost-guard\/price-cap +[\d,]+ +[\d,]+ +\S+:15 +audit/);
  await installation.succeed('policy delete cost-guard');
}, 120_000);
