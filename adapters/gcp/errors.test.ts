import type { ProviderErrorCode } from '../errors.ts';
import { operationFailed, toProviderError } from './errors.ts';

const answered = (httpStatusCode: number, message: string) => ({ httpStatusCode, message });
const broken = (code: string) => ({ message: 'request failed', cause: { code } });
const rate = "Quota exceeded for quota metric 'Queries' and limit 'Queries per minute' of service 'compute'";

describe('what Google says becomes one of the table', () => {
  test.each<[number, string, ProviderErrorCode]>([
    [403, rate, 'Throttled'],
    [429, rate, 'Throttled'],
    [429, 'Resource has been exhausted', 'Throttled'],
    [403, 'Rate Limit Exceeded', 'Throttled'],
    [403, "Quota 'CPUS' exceeded.  Limit: 24.0 in region us-central1.", 'QuotaExceeded'],
    [403, "Required 'compute.instances.create' permission", 'Denied'],
    [401, 'Request had invalid authentication credentials', 'Denied'],
    [404, "The resource 'x' was not found", 'NotFound'],
    [409, "The resource 'x' already exists", 'Conflict'],
    [412, 'Labels fingerprint either invalid or resource labels have changed', 'Conflict'],
    [400, "The resource 'x' is not ready", 'Conflict'],
    [400, "The disk resource 'x' is already being used by 'y'", 'Conflict'],
    [400, "Machine type with name 'x' does not exist in zone 'y'.", 'Invalid'],
    [400, 'Invalid value', 'Invalid'],
    [400, "The network resource 'x' is already being used by 'y'", 'Conflict'],
    [400, 'At most one access config currently supported.', 'Conflict'],
    [400, "No attached disk found with device name 'x'", 'Conflict'],
    [400, 'The referenced subnetwork resource cannot be found.', 'NotFound'],
    [400, "Invalid IPCidrRange: 10.0.0.0/24 conflicts with existing subnetwork 'x'", 'Invalid'],
    [400, 'Requested disk size cannot be smaller than the snapshot size (10 GB)', 'Invalid'],
    [403, "Quota 'STATIC_ADDRESSES' exceeded.  Limit: 8.0 in region us-central1.", 'QuotaExceeded'],
    [403, "Quota 'NETWORKS' exceeded.  Limit: 5.0 globally.", 'QuotaExceeded'],
    [400, "Operation rate exceeded for resource 'x'. Too frequent operations from the source.", 'Throttled'],
    [412, 'Supplied fingerprint does not match current metadata fingerprint.', 'Conflict'],
    [
      503,
      "The zone 'x' does not have enough resources available to fulfill the request.",
      'CapacityExhausted',
    ],
  ])('%i %j is %3$s', (status, message, code) => {
    const error = toProviderError(answered(status, message), true);
    expect(error).toMatchObject({ code, message });
    expect(error.details.retryAfterMs === undefined).toBe(code !== 'Throttled');
  });

  test.each<[string, ProviderErrorCode]>([
    ['ZONE_RESOURCE_POOL_EXHAUSTED', 'CapacityExhausted'],
    ['ZONE_RESOURCE_POOL_EXHAUSTED_WITH_DETAILS', 'CapacityExhausted'],
    ['QUOTA_EXCEEDED', 'QuotaExceeded'],
    ['RATE_LIMIT_EXCEEDED', 'Throttled'],
    ['PERMISSIONS_ERROR', 'Denied'],
    ['RESOURCE_NOT_FOUND', 'Invalid'],
    ['RESOURCE_IN_USE_BY_ANOTHER_RESOURCE', 'Conflict'],
    ['IP_IN_USE_BY_ANOTHER_RESOURCE', 'Conflict'],
    ['RESOURCE_NOT_READY', 'Conflict'],
    ['RESOURCE_OPERATION_RATE_EXCEEDED', 'Throttled'],
    ['IP_SPACE_EXHAUSTED', 'CapacityExhausted'],
    ['INTERNAL_ERROR', 'Unavailable'],
  ])('an operation that ended with %s is %s, with Google’s words', (providerCode, code) => {
    const error = operationFailed({ errors: [{ code: providerCode, message: 'words of Google' }] });
    expect(error).toMatchObject({
      code,
      message: `${providerCode}: words of Google`,
      details: { providerCode },
    });
  });

  test.each([500, 502, 503])('%i to a change is an unknown outcome, to a read Unavailable', (status) => {
    expect(toProviderError(answered(status, 'Backend Error'), true).code).toBe('OutcomeUnknown');
    expect(toProviderError(answered(status, 'Backend Error'), false).code).toBe('Unavailable');
  });

  test('no answer to a change is an unknown outcome, unless the connection was never made', () => {
    expect(toProviderError(broken('ECONNRESET'), true).code).toBe('OutcomeUnknown');
    expect(toProviderError(broken('AbortError'), true).code).toBe('OutcomeUnknown');
    expect(toProviderError(broken('ECONNRESET'), false).code).toBe('Unavailable');
    expect(toProviderError(broken('ECONNREFUSED'), true).code).toBe('Unavailable');
  });

  test('credentials that cannot be found are Denied', () => {
    const error = toProviderError(new Error('Could not load the default credentials.'), true);
    expect(error.code).toBe('Denied');
  });
});
