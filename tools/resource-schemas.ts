/**
 * JSON Schemas (draft 7) of the manifests that `landfall apply` takes, one for each kind: the fields are those of
 * cli/manifests/fields.ts, what they may hold is model/openapi.yaml's. A policy has a schema of its own.
 */
import { readFileSync } from 'node:fs';
import { requestRules } from '@landfall/policies/file/rules.ts';
import { parse } from 'yaml';
import { manifestKinds, metadataFields, type Shape, specFields } from '../cli/manifests/fields.ts';

type Schema = Record<string, unknown>;

/** Schemas by kind. */
export function resourceSchemas(openapi: string): Record<string, Schema> {
  const document = parse(readFileSync(openapi, 'utf8'), { merge: true }) as {
    components: { schemas: Record<string, Schema> };
  };
  const { schemas } = document.components;
  // Rules are the policy language's own affair.
  const constraints = schemas.PlacementConstraints as { properties: Record<string, Schema> };
  constraints.properties.rules = { ...constraints.properties.rules, ...requestRules.schema };
  const resolve = (schema: Schema): Schema => plain(schema, schemas);
  return Object.fromEntries(
    manifestKinds
      .filter((kind) => kind !== 'PlacementPolicy')
      .map((kind) => {
        const input = resolve(schemas[`${kind}Input`]!);
        const { properties, required = [] } = input as {
          properties: Record<string, Schema>;
          required?: string[];
        };
        const metadata = Object.fromEntries(
          metadataFields[kind].map((field) => [
            field,
            properties[field] ?? {
              ...resolve(schemas.Name!),
              description: "The project it is in; the context's when absent.",
            },
          ]),
        );
        const { name: _, labels: __, organization: ___, spec, ...flat } = properties;
        const inSpec = required.filter((field) => field in flat);
        const whole = spec ?? object(flat, inSpec);
        return [
          kind,
          {
            $schema: 'http://json-schema.org/draft-07/schema#',
            title: `Landfall ${kind}`,
            ...object(
              {
                apiVersion: { const: 'landfall.dev/v1', description: 'The version of this format.' },
                kind: { const: kind, description: 'What this document is.' },
                metadata: {
                  description: 'Its name, whose it is, and its labels.',
                  ...object(metadata, ['name']),
                },
                spec: { description: 'What is wanted.', ...only(whole, specFields[kind]) },
              },
              ['apiVersion', 'kind', 'metadata', ...(needsSpec(whole) ? ['spec'] : [])],
            ),
          },
        ];
      }),
  );
}

function object(properties: Record<string, Schema>, required: string[] = []): Schema {
  return {
    type: 'object',
    additionalProperties: false,
    properties,
    ...(required.length > 0 && { required }),
  };
}

function needsSpec(schema: Schema): boolean {
  return ((schema.required as string[] | undefined) ?? []).length > 0;
}

/** The schema with those fields only that a manifest has; a field that is the manifest's own is a text. */
function only(schema: Schema, fields: { [field: string]: Shape }): Schema {
  const properties = (schema.properties ?? {}) as Record<string, Schema>;
  const own = Object.keys(fields).filter((field) => !(field in properties));
  const kept = Object.entries(fields).map(([field, shape]): [string, Schema] => {
    const found = properties[field];
    if (found === undefined) return [field, { type: 'string', minLength: 1, description: OWN[field]! }];
    return [field, shape === 'value' || found.properties === undefined ? found : only(found, shape)];
  });
  const { required = [], ...beside } = schema as { required?: string[] };
  // A field of its own stands in for one that the API needs.
  const needed = own.length > 0 ? [] : required.filter((field) => field in fields);
  return { ...beside, ...object(Object.fromEntries(kept), needed) };
}

/** Fields that the CLI reads and the API does not have. */
const OWN: Record<string, string> = {
  publicKeyFile: 'A file with the public key, relative to this one, instead of publicKey.',
};

const ANNOTATIONS = new Set(['examples', 'default', 'description']);

/** The schema with its references written out, in words that draft 7 has too. */
function plain(schema: Schema, all: Record<string, Schema>): Schema {
  const { $ref, writeOnly: _, ...beside } = schema;
  const named =
    $ref === undefined ? {} : plain(all[($ref as string).replace('#/components/schemas/', '')]!, all);
  const written = Object.fromEntries(
    Object.entries(beside).map(([keyword, value]): [string, unknown] => {
      if (ANNOTATIONS.has(keyword)) return [keyword, value];
      if (Array.isArray(value)) return [keyword, value.map((one) => (isSchema(one) ? plain(one, all) : one))];
      if (keyword === 'properties')
        return [
          keyword,
          Object.fromEntries(
            Object.entries(value as Record<string, Schema>)
              .filter(([, property]) => property.readOnly !== true)
              .map(([name, property]) => [name, plain(property, all)]),
          ),
        ];
      return [keyword, isSchema(value) ? plain(value, all) : value];
    }),
  );
  return { ...named, ...written };
}

function isSchema(value: unknown): value is Schema {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
