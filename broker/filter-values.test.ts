/** A field with fixed values can be filtered by each of them: what the schema says and what the lists take are the same. */
import { readFileSync } from 'node:fs';
import { parse } from 'yaml';
import { TestBroker } from './testing/test-broker.ts';

let broker: TestBroker;
beforeAll(async () => {
  broker = await TestBroker.start();
}, 60_000);
afterAll(() => broker?.stop(), 20_000);

type Schema = Record<string, never> & { $ref?: string; enum?: string[]; properties?: Record<string, Schema> };

const document = parse(readFileSync(new URL('../model/openapi.yaml', import.meta.url), 'utf8'), {
  merge: true,
});
const schemas: Record<string, Schema> = document.components.schemas;

/** The values of a field of a schema, `Instance.status.state`. */
function valuesOf(place: string): string[] {
  const [name, ...path] = place.split('.');
  const follow = (schema: Schema | undefined): Schema => {
    if (schema === undefined) throw new Error(`the schema has no ${place}`);
    return schema.$ref ? follow(schemas[schema.$ref.split('/').at(-1)!]) : schema;
  };
  const { enum: values } = path.reduce<Schema>(
    (at, key) => follow(at.properties?.[key]),
    follow(schemas[name!]),
  );
  if (values === undefined) throw new Error(`${place} is no enum`);
  return values;
}

const project = '/v1/projects/default';

test.each([
  [`${project}/instances`, 'state', 'Instance.status.state'],
  [`${project}/volumes`, 'state', 'ResourceStatus.state'],
  [`${project}/networks`, 'state', 'ResourceStatus.state'],
  ['/v1/operations', 'state', 'Operation.state'],
  ['/v1/operations', 'verb', 'Operation.verb'],
  ['/v1/approvals', 'state', 'Approval.state'],
  ['/v1/violations', 'state', 'Violation.state'],
  ['/v1/violations', 'mode', 'Violation.mode'],
  ['/v1/violations', 'action', 'Violation.action'],
  ['/v1/policies', 'mode', 'Policy.mode'],
  ['/v1/sites', 'provider', 'Site.spec.provider'],
  ['/v1/hosts', 'accel', 'Host.accel'],
  ['/v1/hosts', 'architecture', 'Host.architecture'],
  ['/v1/tokens', 'role', 'Token.role'],
])('%s is filtered by the values of %s that %s has, and by no other', async (path, field, place) => {
  const values = valuesOf(place);
  for (const value of values) {
    const { status } = await broker.call('GET', `${path}?filter=${encodeURIComponent(`${field}=${value}`)}`);
    expect([value, status]).toEqual([value, 200]);
  }
  const { status, body } = await broker.call('GET', `${path}?filter=${field}%3DNonsense`);
  expect(status).toBe(400);
  const [, said] = /must be one of (.*?), is "Nonsense"/.exec(body.errors[0].message) ?? [];
  expect(said?.split(', ').sort()).toEqual([...values].sort());
});
