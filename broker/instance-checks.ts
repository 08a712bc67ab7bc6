import { durationMs, type InstanceSpec, type Schemas } from '@landfall/model';
import type { Db } from '@landfall/store';
import { hostNames } from '@landfall/store/hosts.ts';
import { findImage, imageNames } from '@landfall/store/images.ts';
import { siteNames } from '@landfall/store/sites.ts';
import { sshKeyNames } from '@landfall/store/ssh-keys.ts';
import { Problem, type ProblemError } from './problems.ts';
import { closest } from './suggestion.ts';

const longestTtlMs = 3_650 * 864e5;

/** Throws `unprocessable` with everything in a wanted instance that names what is not there or cannot be. */
export async function checkInstanceSpec(
  db: Db,
  organization: string,
  project: string,
  spec: InstanceSpec,
): Promise<void> {
  const errors: ProblemError[] = [
    ...(await imageErrors(db, organization, spec)),
    ...ttlErrors(spec.ttl),
    ...(spec.sshKeys?.length
      ? unknown(
          spec.sshKeys,
          await sshKeyNames(db, project),
          '/spec/sshKeys',
          `SSH key of project ${project}`,
        )
      : []),
    ...(spec.placement?.sites?.length
      ? unknown(spec.placement.sites, await siteNames(db, organization), '/spec/placement/sites', 'site')
      : []),
    ...(spec.placement?.hosts?.length
      ? unknown(spec.placement.hosts, await hostNames(db, organization), '/spec/placement/hosts', 'host')
      : []),
  ];
  refuse(errors);
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

async function imageErrors(db: Db, organization: string, spec: InstanceSpec): Promise<ProblemError[]> {
  const image = await findImage(db, organization, spec.image);
  if (!image)
    return unknown([spec.image], await imageNames(db, organization), '/spec/image', 'image').map((error) => ({
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

function refuse(errors: ProblemError[]): void {
  if (errors.length === 0) return;
  const more = errors.length > 1 ? ` (and ${errors.length - 1} more)` : '';
  throw new Problem('unprocessable', `${errors[0]!.pointer}: ${errors[0]!.message}${more}.`, { errors });
}
