import { durationMs, type InstanceSpec } from '@landfall/model';
import type { PlacementRequest } from './types.ts';

/** An instance that somebody wants, as the API and resource files say it. */
export interface PlacementSubject {
  organization: string;
  project: string;
  name: string;
  labels: Record<string, string>;
  spec: InstanceSpec;
}

/** The providers that have an image, each with the architectures it has it for. */
export type ImageReach = readonly { provider: string; architectures: readonly string[] }[];

/** Of what was adopted the image is not known: it is where it is. */
export const anywhere: ImageReach = (['aws', 'azure', 'gcp', 'onprem'] as const).map((provider) => ({
  provider,
  architectures: ['x86_64', 'arm64'],
}));

/**
 * The architecture that a request is placed with. `any` is one of them where a provider in question has the image for one
 * only: an offer of the other could not be made there.
 */
function architectureFor(spec: InstanceSpec, image: ImageReach): PlacementRequest['architecture'] {
  const { architecture = 'x86_64' } = spec;
  if (architecture !== 'any' || image.every(({ architectures }) => architectures.length === 2))
    return architecture;
  return image.some(({ architectures }) => architectures.includes('x86_64')) ? 'x86_64' : 'arm64';
}

/** What policies see of a request. `providers` is narrowed to those that have the image for its architecture. */
export function placementRequest(subject: PlacementSubject, image: ImageReach): PlacementRequest {
  const { spec } = subject;
  const wanted: readonly string[] = spec.placement?.providers ?? [];
  const inQuestion = image.filter(({ provider }) => wanted.length === 0 || wanted.includes(provider));
  const architecture = architectureFor(spec, inQuestion);
  return {
    kind: 'Instance',
    name: subject.name,
    project: subject.project,
    organization: subject.organization,
    labels: subject.labels,
    dataClass: spec.dataClass ?? '',
    image: spec.image ?? '',
    vcpus: spec.vcpus,
    memoryGiB: spec.memoryGiB,
    diskGiB: spec.diskGiB ?? 10,
    architecture,
    gpuName: spec.gpu?.name ?? '',
    gpuCount: spec.gpu?.count ?? 0,
    market: spec.market ?? 'onDemand',
    instanceType: spec.instanceType ?? '',
    publicAddress: spec.publicAddress ?? false,
    count: 1,
    providers: inQuestion
      .filter(({ architectures }) => architecture === 'any' || architectures.includes(architecture))
      .map(({ provider }) => provider),
    sites: spec.placement?.sites ?? [],
    regions: spec.placement?.regions ?? [],
    zones: spec.placement?.zones ?? [],
    hosts: spec.placement?.hosts ?? [],
    maxPricePerHour: spec.placement?.maxPricePerHour ?? 0,
    ttlHours: spec.ttl ? durationMs(spec.ttl) / 3_600_000 : 0,
  };
}
