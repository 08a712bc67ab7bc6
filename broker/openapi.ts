import { readFileSync } from 'node:fs';
import type { operations } from '@landfall/model';
import { Ajv2020, type ErrorObject, type ValidateFunction } from 'ajv/dist/2020.js';
import formats from 'ajv-formats';
import { parse } from 'yaml';

export type OperationId = keyof operations;

type Json = Record<string, unknown>;

/** A declared parameter, with the type its text is read as. */
export interface Parameter {
  name: string;
  in: 'path' | 'query' | 'header';
  required: boolean;
  type: 'integer' | 'number' | 'boolean' | 'string';
  default?: unknown;
  validate: ValidateFunction;
}

/** One operation of the document, ready to be served. */
export interface ApiOperation {
  id: OperationId;
  method: string;
  /** As in the document, `/v1/projects/{project}`. */
  path: string;
  parameters: Parameter[];
  /** By media type; absent when the operation takes no body. */
  body?: { required: boolean; byMediaType: Map<string, ValidateFunction> };
  /** By status (`202`, `4XX`), then media type; null for an answer without content. */
  responses: Map<string, { etag: boolean; byMediaType: Map<string, ValidateFunction> | null }>;
  /** Whether If-Match must be sent. */
  needsIfMatch: boolean;
  public: boolean;
}

export interface ApiDocument {
  /** As it was read, for `/openapi.json`. */
  document: Json;
  operations: ApiOperation[];
}

const documentAt = new URL('../model/openapi.yaml', import.meta.url);
const methods = ['get', 'put', 'post', 'delete', 'patch'];

let loaded: ApiDocument | undefined;

/** Reads and compiles the API document, once a process. */
export function apiDocument(): ApiDocument {
  loaded ??= compile(parse(readFileSync(documentAt, 'utf8'), { merge: true, maxAliasCount: -1 }) as Json);
  return loaded;
}

function ajvOver(document: Json, refused: 'readOnly' | 'writeOnly', allErrors: boolean): Ajv2020 {
  const ajv = new Ajv2020({
    allErrors,
    verbose: true,
    useDefaults: refused === 'readOnly',
    allowUnionTypes: true,
    strictRequired: false,
  });
  // OpenAPI: a readOnly property is not for requests, a writeOnly one not for responses.
  ajv.removeKeyword(refused);
  ajv.addKeyword({ keyword: refused, schemaType: 'boolean', validate: (is: boolean) => !is });
  ajv.addKeyword('components');
  formats.default(ajv);
  ajv.addSchema({ $id: documentId, components: { schemas: (document.components as Json).schemas } });
  return ajv;
}

const documentId = 'landfall';

/** Local references of an inline schema, made into references to the document. */
function absolute(schema: unknown): unknown {
  if (Array.isArray(schema)) return schema.map(absolute);
  if (typeof schema !== 'object' || schema === null) return schema;
  return Object.fromEntries(
    Object.entries(schema).map(([key, value]) => [
      key,
      key === '$ref' && typeof value === 'string' ? value.replace(/^#/, `${documentId}#`) : absolute(value),
    ]),
  );
}

function compile(document: Json): ApiDocument {
  const requests = ajvOver(document, 'readOnly', true);
  const responses = ajvOver(document, 'writeOnly', false);
  const compiled = new Map<Ajv2020, Map<string, ValidateFunction>>([
    [requests, new Map()],
    [responses, new Map()],
  ]);
  const validator = (ajv: Ajv2020, schema: unknown): ValidateFunction => {
    const known = compiled.get(ajv)!;
    const text = JSON.stringify(schema);
    let validate = known.get(text);
    if (!validate) {
      validate = ajv.compile(absolute(schema) as object);
      known.set(text, validate);
    }
    return validate;
  };
  const resolve = (node: Json): Json => {
    if (typeof node.$ref !== 'string') return node;
    const target = node.$ref
      .slice(2)
      .split('/')
      .reduce<unknown>(
        (at, part) => (at as Json | undefined)?.[part.replaceAll('~1', '/').replaceAll('~0', '~')],
        document,
      );
    if (typeof target !== 'object' || target === null)
      throw new Error(`model/openapi.yaml: ${node.$ref} points nowhere`);
    return resolve(target as Json);
  };
  const operationsFound: ApiOperation[] = [];
  for (const [path, item] of Object.entries(document.paths as Record<string, Json>)) {
    for (const method of methods) {
      const operation = item[method] as Json | undefined;
      if (!operation) continue;
      const raw = [...((item.parameters as Json[]) ?? []), ...((operation.parameters as Json[]) ?? [])];
      const body = operation.requestBody as
        | { required?: boolean; content: Record<string, { schema: unknown }> }
        | undefined;
      operationsFound.push({
        id: operation.operationId as OperationId,
        method: method.toUpperCase(),
        path,
        parameters: raw.map((each) =>
          parameterOf(resolve(each), (schema) => validator(requests, schema), resolve),
        ),
        body: body && {
          required: body.required ?? false,
          byMediaType: new Map(
            Object.entries(body.content).map(([type, media]) => [type, validator(requests, media.schema)]),
          ),
        },
        responses: new Map(
          Object.entries(operation.responses as Record<string, Json>).map(([status, each]) => {
            const response = resolve(each);
            const content = response.content as Record<string, { schema: unknown }> | undefined;
            return [
              status,
              {
                etag: Object.hasOwn((response.headers as Json) ?? {}, 'ETag'),
                byMediaType: content
                  ? new Map(
                      Object.entries(content).map(([type, media]) => [
                        type,
                        validator(responses, media.schema),
                      ]),
                    )
                  : null,
              },
            ];
          }),
        ),
        needsIfMatch: raw.some((each) => each.$ref === '#/components/parameters/ifMatch'),
        public: Array.isArray(operation.security) && operation.security.length === 0,
      });
    }
  }
  return { document, operations: operationsFound };
}

function parameterOf(
  parameter: Json,
  compileSchema: (schema: unknown) => ValidateFunction,
  resolve: (node: Json) => Json,
): Parameter {
  const schema = parameter.schema as Json;
  // A default is for who leaves the parameter out; the validator never sees that.
  const { default: fallback, ...constraints } = schema;
  return {
    name: parameter.name as string,
    in: parameter.in as Parameter['in'],
    required: parameter.required === true,
    type: (resolve(schema).type as Parameter['type'] | undefined) ?? 'string',
    default: fallback,
    validate: compileSchema(constraints),
  };
}

/** Errors of a validator that has just refused. */
export function errorsOf(validate: ValidateFunction): ErrorObject[] {
  return validate.errors ?? [];
}
