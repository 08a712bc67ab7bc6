import { durationMs, type Instance, type InstanceSpec, type Schemas } from '@landfall/model';
import { parseRequestRules } from '@landfall/policies';
import { type Db, findResource } from '@landfall/store';
import { hostNames } from '@landfall/store/hosts.ts';
import { findImage, imageNames } from '@landfall/store/images.ts';
import { siteNames } from '@landfall/store/sites.ts';
import { sshKeyNames } from '@landfall/store/ssh-keys.ts';
import { admissionNow, type BatchSubject, type PlacementSubject } from '@landfall/workflows/placement.ts';
import { Problem, type ProblemCode, type ProblemError } from './problems.ts';
import { closest } from './suggestion.ts';

const longestTtlMs = 3_650 * 864e5;

/**
 * Throws `unprocessable` with everything in a wanted instance that names what is not there or cannot be. `at`: where the
 * request has the spec's fields.
 */
export async function checkInstanceSpec(
  db: Db,
  organization: string,
  project: string,
  spec: InstanceSpec,
  at = '/spec',
): Promise<void> {
  const errors = await specErrors(namesIn(db, organization, project), project, spec);
  refuse(errors.map((error) => ({ ...error, pointer: error.pointer?.replace(/^\/spec/, at) })));
}

/** What a spec may name, each list read once, when it is first needed. */
interface Names {
  image: (name: string) => ReturnType<typeof findAnyImage>;
  images: () => Promise<string[]>;
  sshKeys: () => Promise<string[]>;
  sites: () => Promise<string[]>;
  hosts: () => Promise<string[]>;
}

/** What a request needs to know of an image: the project's own before a logical one of the same name. */
async function findAnyImage(
  db: Db,
  organization: string,
  project: string,
  name: string,
): Promise<{ name: string; architectures?: readonly string[]; minDiskGiB?: number } | null> {
  const own = await findResource(db, 'CustomImage', project, name);
  if (!own) return findImage(db, organization, name);
  return { name, architectures: [own.spec.architecture ?? 'x86_64'], minDiskGiB: own.spec.minDiskGiB };
}

function namesIn(db: Db, organization: string, project: string): Names {
  const read = new Map<string, Promise<unknown>>();
  const once = <T>(key: string, make: () => Promise<T>): Promise<T> => {
    if (!read.has(key)) read.set(key, make());
    return read.get(key) as Promise<T>;
  };
  return {
    image: (name) => once(`image ${name}`, () => findAnyImage(db, organization, project, name)),
    images: () => once('images', () => imageNames(db, organization)),
    sshKeys: () => once('sshKeys', () => sshKeyNames(db, project)),
    sites: () => once('sites', () => siteNames(db, organization)),
    hosts: () => once('hosts', () => hostNames(db, organization)),
  };
}

async function specErrors(names: Names, project: string, spec: InstanceSpec): Promise<ProblemError[]> {
  const { sshKeys = [], placement: { sites = [], hosts = [] } = {} } = spec;
  const keyOf = `SSH key of project ${project}`;
  return [
    ...(await imageErrors(names, spec)),
    ...ttlErrors(spec.ttl),
    ...ruleErrors(spec),
    ...(sshKeys.length > 0 ? unknown(sshKeys, await names.sshKeys(), '/spec/sshKeys', keyOf) : []),
    ...(sites.length > 0 ? unknown(sites, await names.sites(), '/spec/placement/sites', 'site') : []),
    ...(hosts.length > 0 ? unknown(hosts, await names.hosts(), '/spec/placement/hosts', 'host') : []),
  ];
}

const mostMachines = 10_000;

/**
 * Throws `unprocessable` with everything that cannot be in a batch of requests of one project, each as if alone, and their
 * number; `policy-refused` where there is nothing but refusals of policies.
 */
export async function checkBatch(
  db: Db,
  organization: string,
  project: string,
  wanted: readonly BatchSubject[],
): Promise<void> {
  const names = namesIn(db, organization, project);
  const refused = await admissionNow(db, organization);
  const errors: ProblemError[] = [];
  let refusals = 0;
  for (const [index, { subject }] of wanted.entries()) {
    const own: ProblemError[] = await specErrors(names, project, subject.spec);
    if (subject.spec.placement?.rules?.length)
      own.push({
        pointer: '/spec/placement/rules',
        message: 'cannot be in a batch: plan this request by itself, or put the rules in a policy',
      });
    const byPolicies = refused(subject);
    refusals += byPolicies.length;
    own.push(...byPolicies);
    for (const error of own) errors.push({ ...error, pointer: `/requests/${index}${error.pointer}` });
  }
  const machines = wanted.reduce((sum, { count }) => sum + count, 0);
  if (machines > mostMachines)
    errors.push({
      pointer: '/requests',
      message: `must be for at most ${mostMachines} machines together, are for ${machines}`,
      value: machines,
    });
  refuse(errors, refusals === errors.length ? 'policy-refused' : 'unprocessable');
}

/** Throws `policy-refused` where a policy refuses the request whatever is on offer: for its labels, its ttl, or the time. */
export async function checkAdmission(db: Db, subject: PlacementSubject): Promise<void> {
  refuse((await admissionNow(db, subject.organization))(subject), 'policy-refused');
}

/** The same for a change of an instance's labels or ttl. */
export async function checkChangeAdmission(
  db: Db,
  organization: string,
  { project, name, labels, spec }: Instance,
  patch: Schemas['InstancePatch'],
): Promise<void> {
  const { ttl, ...others } = { ...spec, ...(patch.spec?.ttl === undefined ? {} : { ttl: patch.spec.ttl }) };
  const kept = Object.entries({ ...labels, ...patch.labels }).filter(
    (entry): entry is [string, string] => entry[1] !== null,
  );
  const subject = {
    organization,
    project,
    name,
    labels: Object.fromEntries(kept),
    spec: ttl === null || ttl === undefined ? others : { ...others, ttl },
  };
  const changed = [
    ...(patch.labels === undefined ? [] : (['/labels'] as const)),
    ...(patch.spec?.ttl === undefined ? [] : (['/spec/ttl'] as const)),
  ];
  if (changed.length > 0) refuse((await admissionNow(db, organization))(subject, changed), 'policy-refused');
}

/** Throws `unprocessable` for a patch whose labels or ttl cannot be. */
export function checkInstancePatch(patch: Schemas['InstancePatch']): void {
  const errors: ProblemError[] = ttlErrors(patch.spec?.ttl ?? undefined);
  for (const key of Object.keys(patch.labels ?? {})) {
    if (!/^[A-Za-z0-9]([-._/A-Za-z0-9]{0,61}[A-Za-z0-9])?$/.test(key)) {
      const pointer = `/labels/${key.replaceAll('~', '~0').replaceAll('/', '~1')}`;
      errors.push({
        pointer,
        message: 'is not a label key: 1 to 63 letters, digits and `-._/`, a letter or digit at both ends',
      });
    }
  }
  refuse(errors);
}

async function imageErrors(names: Names, spec: InstanceSpec): Promise<ProblemError[]> {
  if (spec.image === undefined) return []; // adopted
  const image = await names.image(spec.image);
  if (!image)
    return unknown([spec.image], await names.images(), '/spec/image', 'image').map((error) => ({
      ...error,
      pointer: '/spec/image',
    }));
  const errors: ProblemError[] = [];
  const { architecture } = spec;
  if (
    image.architectures &&
    architecture !== undefined &&
    architecture !== 'any' &&
    !image.architectures.includes(architecture)
  ) {
    errors.push({
      pointer: '/spec/architecture',
      message: `must be ${image.architectures.join(' or ')}: image ${image.name} has no ${architecture}`,
      value: architecture,
    });
  }
  const least = image.minDiskGiB ?? 1;
  if ((spec.diskGiB ?? 10) < least) {
    errors.push({
      pointer: '/spec/diskGiB',
      message: `must be at least ${least}, which image ${image.name} needs, is ${spec.diskGiB}`,
      value: spec.diskGiB,
    });
  }
  return errors;
}

function ruleErrors(spec: InstanceSpec): ProblemError[] {
  if (spec.placement?.rules === undefined) return [];
  const { problems } = parseRequestRules(spec.placement.rules, 'request');
  return problems
    .filter(({ severity }) => severity === 'error')
    .map(({ path, message, suggestion }) => ({
      pointer: `/spec/placement/rules${path}`,
      message,
      ...(suggestion ? { suggestion: `Did you mean ${suggestion}?` } : {}),
    }));
}

function ttlErrors(ttl: string | undefined): ProblemError[] {
  if (ttl === undefined || durationMs(ttl) <= longestTtlMs) return [];
  return [
    {
      pointer: '/spec/ttl',
      message: 'must be at most 3650d; leave it out for an instance without end',
      value: ttl,
    },
  ];
}

function unknown(names: readonly string[], known: string[], pointer: string, what: string): ProblemError[] {
  return names.flatMap((name, index) => {
    if (known.includes(name)) return [];
    const suggestion = closest(name, known);
    const meant = suggestion
      ? `; did you mean ${suggestion}?`
      : known.length > 0 && known.length <= 20
        ? `; there is ${known.join(', ')}`
        : '';
    return [
      {
        pointer: `${pointer}/${index}`,
        message: `there is no ${what} named ${name}${meant}`,
        value: name,
        ...(suggestion ? { suggestion } : {}),
      },
    ];
  });
}

/** Throws a problem of these errors, where there are any. */
export function refuse(errors: ProblemError[], code: ProblemCode = 'unprocessable'): void {
  if (errors.length === 0) return;
  const more = errors.length > 1 ? ` (and ${errors.length - 1} more)` : '';
  throw new Problem(code, `${errors[0]!.pointer || 'the request'}: ${errors[0]!.message}${more}.`, {
    errors,
  });
}
