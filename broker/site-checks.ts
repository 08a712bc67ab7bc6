import type { Site } from '@landfall/model';
import { homeOrganization } from './authorization.ts';
import { Problem, type ProblemError } from './problems.ts';

type Spec = Site['spec'];
type Credentials = NonNullable<Spec['credentials']>;

/** Throws `unprocessable` with everything that the schema cannot say of a site, `forbidden` for what only the operators may name. */
export function checkSite(organization: string, spec: Spec): void {
  const errors = spec.provider === 'onprem' ? onpremErrors(spec) : cloudErrors(spec);
  if (errors.length > 0)
    throw new Problem('unprocessable', `${errors[0]!.pointer} ${errors[0]!.message}.`, { errors });
  const source = spec.credentials?.source;
  if (organization !== homeOrganization && (source === 'file' || source === 'command'))
    throw new Problem(
      'forbidden',
      `/spec/credentials/source is ${source}: only sites of organization ${homeOrganization}, whose admins run this Landfall, may name a file or a program of the worker's machine.`,
    );
}

const noCloud = { credentials: 'provider account', endpoint: 'provider API' } as const;

function onpremErrors(spec: Spec): ProblemError[] {
  const errors: ProblemError[] = [];
  const regions = spec.regions?.length ?? 0;
  if (regions !== 1)
    errors.push({
      pointer: '/spec/regions',
      message: `must have exactly one region for an on-prem site, has ${regions}`,
    });
  for (const field of ['credentials', 'endpoint'] as const)
    if (spec[field])
      errors.push({
        pointer: `/spec/${field}`,
        message: `must be absent: an on-prem site has no ${noCloud[field]}`,
      });
  return [...errors, ...accountErrors(spec)];
}

function cloudErrors(spec: Spec): ProblemError[] {
  const errors: ProblemError[] = [];
  if ((spec.regions?.length ?? 0) === 0)
    errors.push({ pointer: '/spec/regions', message: 'must name at least one region of a cloud site' });
  if (spec.pricing)
    errors.push({ pointer: '/spec/pricing', message: 'must be absent: a cloud has its own prices' });
  if (spec.overcommit)
    errors.push({
      pointer: '/spec/overcommit',
      message: 'must be absent: only on-prem hosts are overcommitted',
    });
  return [...errors, ...accountErrors(spec), ...credentialsErrors(spec)];
}

/** What names the account, where the credentials do not: of which provider, and what it is. */
const accounts = {
  subscription: ['azure', 'the id of the subscription that everything is made in'],
  project: ['gcp', 'the id of the Google Cloud project that everything is made in'],
} as const;

function accountErrors(spec: Spec): ProblemError[] {
  return (['subscription', 'project'] as const).flatMap((field) => {
    const [provider, what] = accounts[field];
    const there = spec[field] !== undefined;
    if (there === (spec.provider === provider)) return [];
    const message = there
      ? `must be absent: it is ${what}, for provider ${provider}, and this site is ${spec.provider}`
      : `is missing: ${what}`;
    return [{ pointer: `/spec/${field}`, message }];
  });
}

/** The field that says more of each source. */
const saysMore = {
  default: undefined,
  environment: 'prefix',
  file: 'path',
  command: 'command',
  profile: 'profile',
} as const satisfies Record<NonNullable<Credentials['source']>, keyof Credentials | undefined>;

function credentialsErrors({ provider, credentials }: Spec): ProblemError[] {
  if (!credentials) return [];
  const { source = 'default' } = credentials;
  const needed = saysMore[source];
  const errors: ProblemError[] = [];
  if (source === 'profile' && provider !== 'aws')
    errors.push({
      pointer: '/spec/credentials/source',
      message: `must be default, environment, file or command: only AWS has profiles, and this site is ${provider}`,
      value: source,
    });
  if (needed && credentials[needed] === undefined)
    errors.push({
      pointer: `/spec/credentials/${needed}`,
      message: `is missing: source \`${source}\` needs it`,
    });
  for (const [other, field] of Object.entries(saysMore))
    if (field && field !== needed && credentials[field] !== undefined)
      errors.push({
        pointer: `/spec/credentials/${field}`,
        message: `must be absent: it is for source \`${other}\`, and this is \`${source}\``,
      });
  return errors;
}
