/** What must hold between the fields of a site, which no schema says: the broker refuses what breaks it, and an editor tells it. */
import type { Schemas } from './index.ts';

type Spec = Schemas['SiteSpec'];
type Credentials = NonNullable<Spec['credentials']>;

/** What is wrong with a field, by a JSON pointer into the site's body (`/spec/regions`). */
export interface SiteError {
  pointer: string;
  message: string;
  value?: unknown;
}

/** Everything that is wrong with a site whose form is right. */
export function siteErrors(spec: Spec): SiteError[] {
  return spec.provider === 'onprem' ? onpremErrors(spec) : cloudErrors(spec);
}

const noCloud = { credentials: 'provider account', endpoint: 'provider API' } as const;

function onpremErrors(spec: Spec): SiteError[] {
  const errors: SiteError[] = [];
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
  if (spec.callsPerSecond !== undefined)
    errors.push({
      pointer: '/spec/callsPerSecond',
      message: `must be absent, is ${spec.callsPerSecond}: an on-prem site has no account whose calls are counted`,
    });
  return [...errors, ...accountErrors(spec)];
}

function cloudErrors(spec: Spec): SiteError[] {
  const errors: SiteError[] = [];
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

function accountErrors(spec: Spec): SiteError[] {
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

function credentialsErrors({ provider, credentials }: Spec): SiteError[] {
  if (!credentials) return [];
  const { source = 'default' } = credentials;
  const needed = saysMore[source];
  const errors: SiteError[] = [];
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
