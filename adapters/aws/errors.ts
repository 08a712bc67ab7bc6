import { ProviderError, type ProviderErrorCode, type ProviderErrorDetails } from '../errors.ts';

/** EC2's codes by what they mean to us (A7). What is not here is told by its shape and HTTP status, below. */
const meanings: Record<ProviderErrorCode, string> = {
  CapacityExhausted:
    'InsufficientInstanceCapacity InsufficientHostCapacity InsufficientReservedInstanceCapacity InsufficientCapacity InsufficientCapacityOnHost InsufficientFreeAddressesInSubnet UnfulfillableCapacity InsufficientVolumeCapacity InsufficientAddressCapacity SpotMaxPriceTooLow Server.InsufficientInstanceCapacity Server.SpotInstanceTermination',
  QuotaExceeded:
    'VcpuLimitExceeded InstanceLimitExceeded MaxSpotInstanceCountExceeded VolumeLimitExceeded MaxIOPSLimitExceeded SecurityGroupLimitExceeded RulesPerSecurityGroupLimitExceeded SecurityGroupsPerInterfaceLimitExceeded SecurityGroupsPerInstanceLimitExceeded NetworkInterfaceLimitExceeded AddressLimitExceeded SnapshotLimitExceeded ConcurrentSnapshotLimitExceeded VpcLimitExceeded SubnetLimitExceeded InternetGatewayLimitExceeded AttachmentLimitExceeded ResourceLimitExceeded Client.VolumeLimitExceeded',
  Throttled:
    'RequestLimitExceeded Throttling ThrottlingException RequestThrottled RequestThrottledException TooManyRequestsException SlowDown EC2ThrottledException SnapshotCreationPerVolumeRateExceeded',
  Denied:
    'UnauthorizedOperation AuthFailure InvalidClientTokenId UnrecognizedClientException SignatureDoesNotMatch IncompleteSignature MissingAuthenticationToken ExpiredToken ExpiredTokenException RequestExpired AccessDenied AccessDeniedException OptInRequired Blocked PendingVerification OperationNotPermitted CredentialsProviderError',
  Conflict:
    'IncorrectInstanceState IncorrectState InvalidState IdempotentParameterMismatch DependencyViolation InvalidGroup.Duplicate InvalidGroup.InUse InvalidPermission.Duplicate VolumeInUse InvalidNetworkInterface.InUse ConcurrentTagAccess InvalidInstanceID InvalidSnapshot.InUse InvalidIPAddress.InUse InvalidAMIName.Duplicate InvalidSubnet.Conflict Resource.AlreadyAssociated RouteAlreadyExists Gateway.NotAttached VolumeModificationRateExceeded IncorrectModificationState',
  Invalid:
    'InvalidAction InvalidParameter InvalidParameterValue InvalidParameterCombination MissingParameter UnknownParameter ValidationError InvalidInstanceType InvalidAMIID.NotFound InvalidAMIID.Malformed InvalidAMIID.Unavailable InvalidUserData.Malformed InvalidBlockDeviceMapping InvalidAvailabilityZone InvalidVolume.ZoneMismatch InvalidSubnet.Range InvalidVpc.Range InvalidPermission.Malformed InvalidAMIName.Malformed InvalidZone.NotFound InvalidInstanceID.Malformed InvalidSpotMarketOptions UnsupportedOperation UnsupportedInstanceAttribute UnsupportedParameter TagLimitExceeded VPCIdNotSpecified DefaultVpcDoesNotExist UnsupportedHibernationConfiguration SpotInstanceTypeNotSupported',
  NotFound: '',
  Unavailable: '',
  OutcomeUnknown: '',
};

const byCode = new Map<string, ProviderErrorCode>(
  Object.entries(meanings).flatMap(([meaning, codes]) =>
    codes.split(' ').map((code): [string, ProviderErrorCode] => [code, meaning as ProviderErrorCode]),
  ),
);

/** Which field of the wanted spec an `Invalid` is about. */
const fields: Record<string, string> = {
  InvalidInstanceType: '/instanceType',
  'InvalidAMIID.NotFound': '/image',
  'InvalidAMIID.Malformed': '/image',
  'InvalidAMIID.Unavailable': '/image',
  'InvalidUserData.Malformed': '/userData',
  InvalidBlockDeviceMapping: '/diskGiB',
  'InvalidVolume.ZoneMismatch': '/attachedTo',
  'InvalidVpc.Range': '/cidr',
  'InvalidSubnet.Range': '/subnets',
  TagLimitExceeded: '/labels',
  SpotInstanceTypeNotSupported: '/market',
  InvalidSpotMarketOptions: '/market',
};

/** The connection was never made: nothing can have happened. */
const neverSent = new Set(['ECONNREFUSED', 'ENOTFOUND', 'EAI_AGAIN', 'EHOSTUNREACH', 'ENETUNREACH']);

/** Waited after a throttle that names no time. */
const defaultRetryAfterMs = 2000;

/** What the AWS SDK throws, as far as it is read here. */
interface SdkError {
  name?: string;
  code?: string;
  message?: string;
  $metadata?: { httpStatusCode?: number };
  $response?: { headers?: Record<string, string> };
}

/**
 * The SDK's error as one of the table in `adapters/errors.ts`.
 * @param changing whether the call could have changed something: then no answer means `OutcomeUnknown` (A8).
 */
export function toProviderError(error: unknown, changing: boolean): ProviderError {
  if (error instanceof ProviderError) return error;
  const sdk = (error ?? {}) as SdkError;
  // EC2's code is the error's name; an error of the connection has its own code.
  const name = sdk.name ?? 'Error';
  const providerCode = sdk.$metadata?.httpStatusCode === undefined ? (sdk.code ?? name) : name;
  const words =
    sdk.message && sdk.message !== 'UnknownError' ? `${providerCode}: ${sdk.message}` : providerCode;
  const details: ProviderErrorDetails = { providerCode };
  const answer = (code: ProviderErrorCode) => new ProviderError(code, words, details, error);

  const known = meaningOf(providerCode, sdk.message);
  if (known === 'Throttled') details.retryAfterMs = retryAfterMs(sdk) ?? defaultRetryAfterMs;
  if (known === 'Invalid' && fields[providerCode]) details.field = fields[providerCode];
  if (known) return answer(known);

  const status = sdk.$metadata?.httpStatusCode;
  if (status === undefined) {
    if (sdk.code && neverSent.has(sdk.code)) return answer('Unavailable');
    return answer(changing ? 'OutcomeUnknown' : 'Unavailable');
  }
  if (status === 429) {
    details.retryAfterMs = retryAfterMs(sdk) ?? defaultRetryAfterMs;
    return answer('Throttled');
  }
  if (status >= 500) return answer(changing ? 'OutcomeUnknown' : 'Unavailable');
  if (status === 401 || status === 403) return answer('Denied');
  if (status === 409) return answer('Conflict');
  if (status >= 400) return answer('Invalid');
  // An answer that the SDK could not read: it may well have been a success.
  return answer(changing ? 'OutcomeUnknown' : 'Unavailable');
}

/** What one of EC2's codes means, a state reason's code of a machine too; `undefined` when only its status can tell. */
export function meaningOf(providerCode: string, message = ''): ProviderErrorCode | undefined {
  const known = byCode.get(providerCode);
  if (known) return known;
  if (providerCode.endsWith('.NotFound') || providerCode === 'InvalidGroup.NotFound') return 'NotFound';
  // "Your requested instance type (…) is not supported in your requested Availability Zone": another place has it.
  if (providerCode === 'Unsupported')
    return message.includes('Availability Zone') ? 'CapacityExhausted' : 'Invalid';
  return undefined;
}

function retryAfterMs(error: SdkError): number | undefined {
  const seconds = Number(error.$response?.headers?.['retry-after']);
  return Number.isFinite(seconds) && seconds > 0 ? seconds * 1000 : undefined;
}

export { providerCodeOf } from '../errors.ts';
