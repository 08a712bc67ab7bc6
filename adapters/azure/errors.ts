import { ProviderError, type ProviderErrorCode, type ProviderErrorDetails } from '../errors.ts';

/** Azure's codes by what they mean to us (A7). What is not here is told by its words and HTTP status, below. */
const meanings: Partial<Record<ProviderErrorCode, string>> = {
  CapacityExhausted:
    'SkuNotAvailable AllocationFailed ZonalAllocationFailed OverconstrainedAllocationRequest OverconstrainedZonalAllocationRequest AllocationTimeout SpotPriceTooLow SubnetIsFull',
  QuotaExceeded:
    'QuotaExceeded ResourceQuotaExceeded ResourceCountLimitReached ResourceGroupQuotaExceeded PublicIPCountLimitReached IPv4StandardSkuPublicIpCountLimitReached NetworkSecurityGroupCountLimitReached NetworkInterfaceCountLimitReached',
  Throttled: 'TooManyRequests SubscriptionRequestsThrottled RetryableError',
  Denied:
    'AuthorizationFailed AuthenticationFailed InvalidAuthenticationToken ExpiredAuthenticationToken InvalidAuthenticationTokenTenant LinkedAuthorizationFailed RequestDisallowedByPolicy ReadOnlyDisabledSubscription SubscriptionNotFound SubscriptionNotRegistered MissingSubscriptionRegistration ScopeLocked CredentialUnavailableError AuthenticationError AggregateAuthenticationError AuthenticationRequiredError',
  Conflict:
    'Conflict AnotherOperationInProgress OperationPreempted PreconditionFailed PropertyChangeNotAllowed NicInUse NicReservedForAnotherVm NetworkInterfaceInUse PublicIPAddressCannotBeDeleted PublicIPAddressInUse InUseNetworkSecurityGroupCannotBeDeleted InUseSubnetCannotBeDeleted AttachDiskWhileBeingDetached ConflictingUserInput SecurityRuleConflict ResourceGroupBeingDeleted',
  NotFound: 'ResourceNotFound ResourceGroupNotFound ParentResourceNotFound',
  Invalid:
    'InvalidParameter InvalidRequestContent InvalidRequestFormat InvalidResourceReference InvalidAvailabilityZone PlatformImageNotFound ImageNotFound LocationNotAvailableForResourceType InvalidTemplate VMSizeDoesntSupportImage StorageAccountNotFound InvalidTagName InvalidCIDRNotation NetcfgSubnetRangesOverlap NetcfgSubnetRangeOutsideVnet SecurityRuleInvalidAddressPrefix SecurityRuleInvalidPortRange SecurityRuleInvalidPriority ApplicationSecurityGroupsNotInSameVnet ResizeDiskError',
};

const byCode = new Map<string, ProviderErrorCode>(
  Object.entries(meanings).flatMap(([meaning, codes]) =>
    codes.split(' ').map((code): [string, ProviderErrorCode] => [code, meaning as ProviderErrorCode]),
  ),
);

/** Which field of the wanted spec an `Invalid` is about: by Azure's code, or by its target. */
const fields: Record<string, string> = {
  PlatformImageNotFound: '/image',
  ImageNotFound: '/image',
  imageReference: '/image',
  vmSize: '/instanceType',
  InvalidAvailabilityZone: '/location/zone',
  InvalidTagName: '/labels',
  NetcfgSubnetRangesOverlap: '/subnets',
  NetcfgSubnetRangeOutsideVnet: '/subnets',
  InvalidCIDRNotation: '/cidr',
  SecurityRuleInvalidAddressPrefix: '/rules',
  SecurityRuleInvalidPortRange: '/rules',
  ApplicationSecurityGroupsNotInSameVnet: '/firewalls',
  ResizeDiskError: '/sizeGiB',
  diskSizeGB: '/sizeGiB',
  StorageAccountNotFound: '/source/url',
  'disk.blobUri': '/source/url',
};

/** The connection was never made: nothing can have happened. */
const neverSent = new Set(['ECONNREFUSED', 'ENOTFOUND', 'EAI_AGAIN', 'EHOSTUNREACH', 'ENETUNREACH']);

/** Waited after a throttle that names no time. */
const defaultRetryAfterMs = 5000;

/** What the Azure SDK throws, as far as it is read here. */
interface SdkError {
  name?: string;
  code?: string;
  message?: string;
  statusCode?: number;
  details?: unknown;
  response?: { headers?: { get(name: string): string | undefined } };
}

interface ArmError {
  code?: string;
  message?: string;
  target?: string;
  details?: { code?: string; message?: string }[];
}

/** An operation that was accepted and then failed: the SDK keeps its code only in the words. */
const operationFailed = /long-running operation has failed\. (\w+)\. ([\s\S]*)$/;

/**
 * The SDK's error as one of the table in `adapters/errors.ts`.
 * @param changing whether the call could have changed something: then no answer means `OutcomeUnknown` (A8).
 */
export function toProviderError(error: unknown, changing: boolean): ProviderError {
  if (error instanceof ProviderError) return error;
  const sdk = (error ?? {}) as SdkError;
  const failed = operationFailed.exec(sdk.message ?? '');
  const body = failed ? { code: failed[1], message: failed[2] } : bodyOf(sdk);
  const providerCode = body.code ?? sdk.code ?? sdk.name ?? 'Error';
  const words = body.message ?? sdk.message;
  const said = words?.replace(sizesOfRegion, '').trim();
  const message = said ? `${providerCode}: ${said}` : providerCode;
  const details: ProviderErrorDetails = { providerCode };
  const answer = (code: ProviderErrorCode) => {
    if (code === 'Throttled') details.retryAfterMs = retryAfterMs(sdk) ?? defaultRetryAfterMs;
    if (code === 'Invalid')
      details.field =
        fields[providerCode] ??
        fields[body.target ?? ''] ??
        (ofBlob.test(words ?? '') ? '/source/url' : undefined);
    return new ProviderError(code, message, details, error);
  };

  const status = sdk.statusCode;
  if (status === 429) return answer('Throttled');
  const inner = body.details?.map(({ code }) => code ?? '') ?? [];
  const known = meaningOf(providerCode, words, inner);
  if (known) return answer(known);
  if (failed) return answer('Conflict');
  if (status === undefined) {
    if (neverSent.has(providerCode)) return answer('Unavailable');
    return answer(changing ? 'OutcomeUnknown' : 'Unavailable');
  }
  if (status >= 500) return answer(changing ? 'OutcomeUnknown' : 'Unavailable');
  if (status === 401 || status === 403) return answer('Denied');
  if (status === 404) return answer('NotFound');
  if (status === 409 || status === 412) return answer('Conflict');
  if (status >= 400) return answer('Invalid');
  // An answer that the SDK could not read: it may well have been a success.
  return answer(changing ? 'OutcomeUnknown' : 'Unavailable');
}

/** Of what an image is imported from; its target is no more than `disks`. */
const ofBlob = /\bsource blob\b|\bblob name in URL\b/i;

/** How Azure goes on after naming a size that the region has not: with all that it has, by the hundred. */
const sizesOfRegion = /\s*The (valid sizes|sizes available) in the current region are\b[\s\S]*/i;

const inUse = /cannot be deleted because it is (in use|referenced)/i;

/** What one of Azure's codes means, a failed machine's too; `undefined` when only its status can tell. */
export function meaningOf(
  providerCode: string,
  message = '',
  inner: string[] = [],
): ProviderErrorCode | undefined {
  // One code for many refusals: what it is about stands in the words and in the inner codes.
  if (providerCode === 'OperationNotAllowed' || providerCode === 'BadRequest') {
    if (inner.includes('QuotaExceeded') || /\bquota\b/i.test(message)) return 'QuotaExceeded';
    // An operation that failed has no inner codes left.
    if (inner.includes('TooManyRequests') || /too many requests/i.test(message)) return 'Throttled';
    return providerCode === 'BadRequest' ? 'Invalid' : 'Conflict';
  }
  // A size that this region does not have, where others may.
  if (providerCode === 'InvalidParameter' && sizesOfRegion.test(message)) return 'CapacityExhausted';
  // Somebody else's disk took the number in between.
  if (providerCode === 'InvalidParameter' && /\bLUN \d/.test(message)) return 'Conflict';
  const known = byCode.get(providerCode);
  if (known) return known;
  if (/CountLimitReached$/.test(providerCode)) return 'QuotaExceeded';
  // Every type has a code of its own for this, and not all of them are written down.
  const used = /InUse$|^InUse|CannotBeDeleted$/.test(providerCode) || inUse.test(message);
  return used ? 'Conflict' : undefined;
}

/** The error as Azure wrote it: the SDK keeps the answer's body as `details`. */
function bodyOf(sdk: SdkError): ArmError {
  const details = sdk.details;
  if (typeof details !== 'object' || details === null) return {};
  return 'error' in details ? ((details.error ?? {}) as ArmError) : (details as ArmError);
}

function retryAfterMs(error: SdkError): number | undefined {
  const seconds = Number(error.response?.headers?.get('retry-after'));
  return Number.isFinite(seconds) && seconds > 0 ? seconds * 1000 : undefined;
}

/** Azure's own code of what went wrong, for any error. */
export function providerCodeOf(error: unknown): string | undefined {
  return error instanceof ProviderError ? error.details.providerCode : undefined;
}
