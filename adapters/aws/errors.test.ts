import type { ProviderErrorCode } from '../errors.ts';
import { ProviderError } from '../errors.ts';
import { toProviderError } from './errors.ts';

const answered = (name: string, httpStatusCode: number, message = 'words of EC2') => ({
  name,
  message,
  $metadata: { httpStatusCode },
});
const broken = (code: string) => ({
  name: 'Error',
  code,
  message: `socket ${code}`,
  $metadata: { attempts: 1 },
});

describe('what EC2 says becomes one of the table', () => {
  test.each<[string, number, ProviderErrorCode]>([
    ['InsufficientInstanceCapacity', 500, 'CapacityExhausted'],
    ['InsufficientFreeAddressesInSubnet', 400, 'CapacityExhausted'],
    ['VcpuLimitExceeded', 400, 'QuotaExceeded'],
    ['InstanceLimitExceeded', 400, 'QuotaExceeded'],
    ['MaxSpotInstanceCountExceeded', 400, 'QuotaExceeded'],
    ['RequestLimitExceeded', 503, 'Throttled'],
    ['UnauthorizedOperation', 403, 'Denied'],
    ['AuthFailure', 401, 'Denied'],
    ['InvalidInstanceID.NotFound', 400, 'NotFound'],
    ['InvalidInstanceType', 400, 'Invalid'],
    ['InvalidAMIID.NotFound', 400, 'Invalid'],
    ['IncorrectInstanceState', 400, 'Conflict'],
    ['IdempotentParameterMismatch', 400, 'Conflict'],
    ['DependencyViolation', 400, 'Conflict'],
    ['VolumeInUse', 400, 'Conflict'],
    ['IncorrectState', 400, 'Conflict'],
    ['InvalidSnapshot.InUse', 400, 'Conflict'],
    ['InvalidIPAddress.InUse', 400, 'Conflict'],
    ['InvalidAMIName.Duplicate', 400, 'Conflict'],
    ['InvalidSubnet.Conflict', 400, 'Conflict'],
    ['Gateway.NotAttached', 400, 'Conflict'],
    ['VolumeModificationRateExceeded', 400, 'Conflict'],
    ['IncorrectModificationState', 400, 'Conflict'],
    ['VolumeLimitExceeded', 400, 'QuotaExceeded'],
    ['SnapshotLimitExceeded', 400, 'QuotaExceeded'],
    ['ConcurrentSnapshotLimitExceeded', 400, 'QuotaExceeded'],
    ['AddressLimitExceeded', 400, 'QuotaExceeded'],
    ['VpcLimitExceeded', 400, 'QuotaExceeded'],
    ['SubnetLimitExceeded', 400, 'QuotaExceeded'],
    ['InternetGatewayLimitExceeded', 400, 'QuotaExceeded'],
    ['SecurityGroupLimitExceeded', 400, 'QuotaExceeded'],
    ['SnapshotCreationPerVolumeRateExceeded', 400, 'Throttled'],
    ['InsufficientVolumeCapacity', 500, 'CapacityExhausted'],
    ['InsufficientAddressCapacity', 500, 'CapacityExhausted'],
    ['InvalidVolume.ZoneMismatch', 400, 'Invalid'],
    ['InvalidSubnet.Range', 400, 'Invalid'],
    ['InvalidParameterValue', 400, 'Invalid'],
    ['InvalidVolume.NotFound', 400, 'NotFound'],
    ['InvalidVpcID.NotFound', 400, 'NotFound'],
    ['InvalidAllocationID.NotFound', 400, 'NotFound'],
    ['SomethingNobodyKnows', 400, 'Invalid'],
    ['SomethingNobodyKnows', 429, 'Throttled'],
  ])('%s (%i) is %s whether reading or changing', (code, status, meaning) => {
    for (const changing of [true, false]) {
      const error = toProviderError(answered(code, status), changing);
      expect(error.code).toBe(meaning);
      expect(error.message).toContain('words of EC2');
      expect(error.details.providerCode).toBe(code);
    }
  });

  test.each([
    answered('InternalError', 500),
    answered('Unavailable', 503),
    broken('ECONNRESET'),
    broken('EPIPE'),
  ])('no clear answer (%o) is Unavailable when reading, OutcomeUnknown when changing', (raw) => {
    expect(toProviderError(raw, false).code).toBe('Unavailable');
    expect(toProviderError(raw, true)).toMatchObject({ code: 'OutcomeUnknown', cause: raw });
  });

  test('a timeout of a changing call is OutcomeUnknown', () => {
    const raw = Object.assign(new Error('no answer within 30000 ms'), { name: 'TimeoutError' });
    expect(toProviderError(raw, true).code).toBe('OutcomeUnknown');
  });

  test.each(['ECONNREFUSED', 'ENOTFOUND', 'EAI_AGAIN'])('%s is Unavailable: nothing was sent', (code) => {
    expect(toProviderError(broken(code), true).code).toBe('Unavailable');
  });

  test('an answer that could not be read is OutcomeUnknown when changing', () => {
    const raw = { name: 'SyntaxError', message: 'unexpected end', $metadata: { httpStatusCode: 200 } };
    expect(toProviderError(raw, true).code).toBe('OutcomeUnknown');
  });

  test('a type that a zone does not have is a lack of capacity there, other unsupported things are Invalid', () => {
    const zone =
      'Your requested instance type (p5.48xlarge) is not supported in your requested Availability Zone (us-east-1e).';
    expect(toProviderError(answered('Unsupported', 400, zone), true).code).toBe('CapacityExhausted');
    expect(toProviderError(answered('Unsupported', 400, 'The requested configuration'), true).code).toBe(
      'Invalid',
    );
  });

  test('Invalid names the field where the code tells it', () => {
    expect(toProviderError(answered('InvalidInstanceType', 400), true).details.field).toBe('/instanceType');
    expect(toProviderError(answered('InvalidVolume.ZoneMismatch', 400), true).details.field).toBe(
      '/attachedTo',
    );
  });

  test('an error of the table stays what it is', () => {
    const error = new ProviderError('Denied', 'no');
    expect(toProviderError(error, true)).toBe(error);
  });
});
