import { POLICY } from './parse.ts';
import { FIXTURES, type FixtureKind } from './read-tests.ts';
import type { JsonSchema } from './shape.ts';

/**
 * The JSON Schema (draft 7) of one document of a policy file, from the same shapes that read it. It knows the form of
 * a file only: what expressions mean, and which names there are, `landfall policy validate` tells.
 */
export function policySchema(): JsonSchema {
  return {
    $schema: 'http://json-schema.org/draft-07/schema#',
    title: 'Landfall PlacementPolicy',
    ...POLICY.schema,
  };
}

/** The JSON Schema (draft 7) of a file that tests of policies name. */
export function fixtureSchema(kind: FixtureKind): JsonSchema {
  return {
    $schema: 'http://json-schema.org/draft-07/schema#',
    title: `Landfall ${kind} of policy tests`,
    ...FIXTURES[kind].shape.schema,
  };
}
