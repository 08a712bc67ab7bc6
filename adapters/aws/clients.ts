import { EC2Client } from '@aws-sdk/client-ec2';
import { ProviderError } from '../errors.ts';
import { type CallOutcome, codeAmong, keepingCall, noAnswer } from '../provider-calls.ts';
import type { AwsKey } from './credentials.ts';
import { toProviderError } from './errors.ts';

export interface AwsAdapterOptions {
  /** Name of the site, for people. */
  site: string;
  /** Regions that may be used; offers and lists cover these and no others. */
  regions: string[];
  /** Another endpoint than AWS's own, for a simulator or a private one. */
  endpoint?: string;
  /** Absent: what the AWS SDK finds by itself (environment, profile, instance role). */
  credentials?: AwsKey | (() => Promise<AwsKey>);
  /** A profile of AWS's own configuration files. */
  profile?: string;
  /** How long after its creation something may be invisible (A6), in milliseconds. */
  visibilityGraceMs?: number;
  /** Between two looks while waiting, in milliseconds. */
  pollMs?: number;
  /** `ensure` answers `creating` after this long, in milliseconds. */
  ensureWaitMs?: number;
  /** `remove` answers "not done yet" after this long, in milliseconds. */
  removeWaitMs?: number;
  /** A single request may take this long, in milliseconds. */
  requestTimeoutMs?: number;
  /** Waited for before each request to the provider; rejects with a ProviderError where none may be sent. */
  beforeCall?: () => Promise<void>;
  /** Told what a list could not read; a process warning when absent. */
  warn?: (message: string, error: Error) => void;
}

/** The options with their defaults, and a client per region. Nothing about resources is remembered (A12). */
export interface Account {
  regions: string[];
  endpoint?: string;
  visibilityGraceMs: number;
  pollMs: number;
  ensureWaitMs: number;
  removeWaitMs: number;
  warn: (message: string, error: Error) => void;
  /** A region that the site no longer has, too: what is there must stay removable. */
  ec2(region: string): EC2Client;
  /** @throws ProviderError `Invalid` when nothing new may be made in the region. */
  checkRegion(region: string): void;
}

export function openAccount(options: AwsAdapterOptions): Account {
  const clients = new Map<string, EC2Client>();
  const timeout = options.requestTimeoutMs ?? 30_000;
  return {
    regions: options.regions,
    endpoint: options.endpoint,
    visibilityGraceMs: options.visibilityGraceMs ?? 60_000,
    pollMs: options.pollMs ?? 2_000,
    ensureWaitMs: options.ensureWaitMs ?? 600_000,
    removeWaitMs: options.removeWaitMs ?? 120_000,
    warn: options.warn ?? ((message) => process.emitWarning(message, 'AwsSite')),
    checkRegion(region) {
      if (!options.regions.includes(region))
        throw new ProviderError('Invalid', `site ${options.site} has no region ${region}`, {
          field: '/location/region',
        });
    },
    ec2(region) {
      const open = clients.get(region);
      if (open) return open;
      const client = new EC2Client({
        region,
        endpoint: options.endpoint,
        credentials: options.credentials,
        profile: options.profile,
        // One try, always: the workflows retry, from one bucket per account (R15). A retry in here would multiply
        // with theirs in a throttling storm, and would hide from them that an answer was lost (A8).
        maxAttempts: 1,
        requestHandler: {
          connectionTimeout: Math.min(timeout, 10_000),
          requestTimeout: timeout,
          throwOnRequestTimeout: true,
        },
      });
      signAgainByTheirClock(client);
      // After anything that could send it again, around what reads the answer.
      client.middlewareStack.add(
        (next, { commandName }) =>
          async (args) => {
            await options.beforeCall?.();
            return keepingCall(
              () => `ec2:${commandName?.replace(/Command$/, '')}`,
              () => next(args),
              { answer: outcomeOf, error: refusalOf },
            );
          },
        { step: 'deserialize', priority: 'high', name: 'landfallCall' },
      );
      clients.set(region, client);
      return client;
    },
  };
}

const outcomeOf = ({ response }: { response: unknown }): CallOutcome => ({
  status: (response as { statusCode: number }).statusCode,
});

/** EC2's code is the error's name. */
function refusalOf(error: unknown): CallOutcome {
  const { name, $metadata } = error as { name?: string; $metadata?: { httpStatusCode?: number } };
  const status = $metadata?.httpStatusCode;
  return status === undefined ? noAnswer(error) : { status, code: codeAmong(name) };
}

/** How AWS refuses a signature that is, by its clock, too old or too new. It did nothing then. */
const wronglyTimed = [
  'RequestExpired',
  'RequestInTheFuture',
  'RequestTimeTooSkewed',
  'AuthFailure',
  'SignatureDoesNotMatch',
];

/**
 * A request that AWS refuses for its time is signed again, once, by AWS's own clock, which the SDK has learnt from the refusal: else the
 * first calls of a site whose worker has a wrong clock would be told as `Denied`, which is for good.
 */
function signAgainByTheirClock(client: EC2Client): void {
  client.middlewareStack.add(
    (next) => async (args) => {
      try {
        return await next(args);
      } catch (error) {
        const { name = '', $metadata } = error as {
          name?: string;
          $metadata?: { clockSkewCorrected?: boolean };
        };
        if (!$metadata?.clockSkewCorrected || !wronglyTimed.includes(name)) throw error;
        return next(args);
      }
    },
    // The last step before the request is signed.
    { step: 'build', priority: 'low', name: 'landfallSignAgain' },
  );
}

/** A call that changes nothing: no answer means `Unavailable`. */
export async function reading<T>(answer: Promise<T>): Promise<T> {
  try {
    return await answer;
  } catch (error) {
    throw toProviderError(error, false);
  }
}

/** A call that changes something: no answer means `OutcomeUnknown`. Never aborted midway, for the same reason. */
export async function changing<T>(answer: Promise<T>): Promise<T> {
  try {
    return await answer;
  } catch (error) {
    throw toProviderError(error, true);
  }
}
