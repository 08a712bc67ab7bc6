import { toProviderError } from './errors.ts';

const refused = (
  statusCode: number,
  code: string,
  message = 'no',
  details?: object[],
  retryAfter?: string,
) => ({
  name: 'RestError',
  statusCode,
  code,
  message,
  details: { error: { code, message, details } },
  response: { headers: new Map(retryAfter ? [['retry-after', retryAfter]] : []) },
});
const failed = (code: string) => new Error(`The long-running operation has failed. ${code}. Not today.`);

test.each([
  ['capacity by status', refused(409, 'SkuNotAvailable'), 'CapacityExhausted'],
  ['capacity by operation', failed('AllocationFailed'), 'CapacityExhausted'],
  ['capacity in the zone', failed('ZonalAllocationFailed'), 'CapacityExhausted'],
  ['capacity for the constraints', failed('OverconstrainedAllocationRequest'), 'CapacityExhausted'],
  [
    'quota by its inner code',
    refused(409, 'OperationNotAllowed', 'Current Limit: 4', [{ code: 'QuotaExceeded' }]),
    'QuotaExceeded',
  ],
  [
    'quota by its words',
    refused(409, 'OperationNotAllowed', 'exceeding approved Total Regional Cores quota.'),
    'QuotaExceeded',
  ],
  ['quota by its own code', refused(409, 'QuotaExceeded'), 'QuotaExceeded'],
  ['quota of addresses', refused(400, 'PublicIPCountLimitReached'), 'QuotaExceeded'],
  ['quota by operation', failed('QuotaExceeded'), 'QuotaExceeded'],
  [
    'throttled by compute',
    refused(429, 'OperationNotAllowed', 'no', [{ code: 'TooManyRequests' }]),
    'Throttled',
  ],
  ['throttled by the network', refused(429, 'RetryableError'), 'Throttled'],
  ['not allowed in this state', refused(409, 'OperationNotAllowed', 'The VM is being deleted.'), 'Conflict'],
  ['another operation', refused(409, 'AnotherOperationInProgress'), 'Conflict'],
  ['the name is taken', refused(412, 'PreconditionFailed'), 'Conflict'],
  ['still in use', refused(400, 'NicInUse'), 'Conflict'],
  ['still reserved', refused(400, 'NicReservedForAnotherVm'), 'Conflict'],
  ['not allowed', refused(403, 'AuthorizationFailed'), 'Denied'],
  ['by policy', refused(403, 'RequestDisallowedByPolicy'), 'Denied'],
  ['no credentials', { name: 'CredentialUnavailableError', message: 'none' }, 'Denied'],
  ['not there', refused(404, 'ResourceNotFound'), 'NotFound'],
  ['malformed', refused(400, 'InvalidRequestContent'), 'Invalid'],
  ['an unknown refusal', refused(400, 'SomethingNew'), 'Invalid'],
  ['an unknown failed operation', failed('SomethingNew'), 'Conflict'],
  ['a broken server', refused(503, 'ServerTimeout'), 'OutcomeUnknown'],
  ['a lost answer', { name: 'RestError', code: 'ECONNRESET', message: 'reset' }, 'OutcomeUnknown'],
  ['a time limit', { name: 'AbortError', message: 'The operation was aborted.' }, 'OutcomeUnknown'],
  ['nobody there', { name: 'RestError', code: 'ECONNREFUSED', message: 'refused' }, 'Unavailable'],
])('a change that ends with %s', (_title, error, code) => {
  expect(toProviderError(error, true)).toMatchObject({ code, cause: error });
});

test.each([
  ['a size that is sold out', 'SkuNotAvailable', 'currently not available in location', 'CapacityExhausted'],
  ['no room', 'AllocationFailed', 'no capacity', 'CapacityExhausted'],
  ['no room in the zone', 'ZonalAllocationFailed', 'no capacity', 'CapacityExhausted'],
  ['no room for all that is asked', 'OverconstrainedAllocationRequest', 'no capacity', 'CapacityExhausted'],
  [
    'cores beyond the quota',
    'OperationNotAllowed',
    'exceeding approved Total Regional Cores quota. Current Limit: 4, Current Usage: 4, Additional Required: 2',
    'QuotaExceeded',
  ],
  ['a quota by its own code', 'QuotaExceeded', 'Current Limit: 4', 'QuotaExceeded'],
  [
    'calls beyond the rate of compute',
    'OperationNotAllowed',
    'The server rejected the request because too many requests have been received for this subscription.',
    'Throttled',
  ],
  ['calls beyond the rate', 'TooManyRequests', 'slow down', 'Throttled'],
  ['calls beyond the rate of the network', 'RetryableError', 'A retryable error occurred.', 'Throttled'],
  ['a disk that a machine has', 'OperationNotAllowed', 'Disk d is attached to VM m.', 'Conflict'],
  ['a disk that another machine owns', 'ConflictingUserInput', 'already owned by VM m', 'Conflict'],
  ['a disk on its way out', 'AttachDiskWhileBeingDetached', 'being detached', 'Conflict'],
  ['a number that a disk has', 'InvalidParameter', 'A disk at LUN 0 already exists.', 'Conflict'],
  ['a machine full of disks', 'OperationNotAllowed', 'maximum number of data disks allowed', 'Conflict'],
  ['a disk made smaller', 'ResizeDiskError', 'Disk size reduction is not supported.', 'Invalid'],
  ['a disk changed as none can be', 'PropertyChangeNotAllowed', 'creationData', 'Conflict'],
  [
    'too many disks',
    'OperationNotAllowed',
    'exceeding approved StandardSSDDiskCount quota.',
    'QuotaExceeded',
  ],
  ['a subnet in use', 'InUseSubnetCannotBeDeleted', 'in use', 'Conflict'],
  ['a security group in use', 'InUseNetworkSecurityGroupCannotBeDeleted', 'in use', 'Conflict'],
  ['an address in use', 'PublicIPAddressCannotBeDeleted', 'in use', 'Conflict'],
  ['an address that another has', 'PublicIPAddressInUse', 'already allocated', 'Conflict'],
  [
    'an application group in use, whatever its code',
    'SomethingNew',
    'Application Security Group a cannot be deleted because it is referenced by IpConfiguration(s) c.',
    'Conflict',
  ],
  ['two rules of one priority', 'SecurityRuleConflict', 'same Priority and Direction', 'Conflict'],
  ['a rule with a bad source', 'SecurityRuleInvalidAddressPrefix', 'bad', 'Invalid'],
  ['a subnet outside', 'NetcfgSubnetRangeOutsideVnet', 'outside', 'Invalid'],
  ['subnets that overlap', 'NetcfgSubnetRangesOverlap', 'overlap', 'Invalid'],
  ['a prefix that is none', 'InvalidCIDRNotation', 'bad', 'Invalid'],
  ['a group of another network', 'ApplicationSecurityGroupsNotInSameVnet', 'other', 'Invalid'],
  ['a full subnet', 'SubnetIsFull', 'full', 'CapacityExhausted'],
  ['too many addresses', 'IPv4StandardSkuPublicIpCountLimitReached', 'limit', 'QuotaExceeded'],
  ['too many rules', 'SecurityRuleCountLimitReached', 'limit', 'QuotaExceeded'],
  ['a write over somebody else’s', 'PreconditionFailed', 'etag', 'Conflict'],
])('%s is told alike by a status and by an operation that failed', (_title, code, message, meaning) => {
  for (const status of [400, 409])
    expect(toProviderError(refused(status, code, message), true).code).toBe(meaning);
  const failure = new Error(`The long-running operation has failed. ${code}. ${message}`);
  expect(toProviderError(failure, true)).toMatchObject({ code: meaning, details: { providerCode: code } });
});

test('a read without an answer has changed nothing', () => {
  for (const error of [refused(500, 'InternalServerError'), { name: 'RestError', code: 'ECONNRESET' }])
    expect(toProviderError(error, false).code).toBe('Unavailable');
});

test('a throttle says when to come again: as told, else in five seconds', () => {
  expect(toProviderError(refused(429, 'TooManyRequests', 'no', [], '7'), true).details.retryAfterMs).toBe(
    7000,
  );
  expect(toProviderError(refused(429, 'TooManyRequests'), true).details.retryAfterMs).toBe(5000);
});

test('the words and the code are Azure’s own', () => {
  const error = toProviderError(failed('AllocationFailed'), true);
  expect(error.message).toBe('AllocationFailed: Not today.');
  expect(error.details.providerCode).toBe('AllocationFailed');
});

test.each([
  'The value Standard_X provided for the VM size is not valid. The valid sizes in the current region are: Standard_A0,Standard_A1.',
  'The requested VM size Standard_X is not available in the current region. The sizes available in the current region are: Standard_A0.',
])(
  'a size that the region lacks is none to be had there, and others are tried; the list of all is left out',
  (message) => {
    const refusal = refused(400, 'InvalidParameter');
    refusal.details.error = { ...refusal.details.error, message };
    const error = toProviderError(refusal, true);
    expect(error).toMatchObject({ code: 'CapacityExhausted', details: { providerCode: 'InvalidParameter' } });
    expect(error.message).toContain('Standard_X');
    expect(error.message).not.toContain('Standard_A0');
  },
);

test('what is invalid names the field', () => {
  const vmSize = refused(400, 'InvalidParameter');
  vmSize.details.error = { ...vmSize.details.error, target: 'vmSize' } as typeof vmSize.details.error;
  expect(toProviderError(vmSize, true).details.field).toBe('/instanceType');
  expect(toProviderError(refused(404, 'PlatformImageNotFound'), true)).toMatchObject({
    code: 'Invalid',
    details: { field: '/image' },
  });
  const fieldOf = (code: string) => toProviderError(refused(400, code), true).details.field;
  expect(fieldOf('NetcfgSubnetRangesOverlap')).toBe('/subnets');
  expect(fieldOf('SecurityRuleInvalidPortRange')).toBe('/rules');
  expect(fieldOf('ResizeDiskError')).toBe('/sizeGiB');
});
