import { type ApiOperation, apiDocument } from '../openapi.ts';

/** Every operation of the API document. */
export function operationIds(): Pick<ApiOperation, 'id' | 'method' | 'path'>[] {
  return apiDocument().operations.map(({ id, method, path }) => ({ id, method, path }));
}
