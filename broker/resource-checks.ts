import type { changeResource, ResourceKind, ResourceRequest } from '@landfall/store';
import { labelRefusals, resourceRefusals } from '@landfall/workflows/placement.ts';
import { refuse } from './instance-checks.ts';

/** Throws `policy-refused` where the policies let a volume, a network, … not be where it would go. */
export function checkResourcePolicies(resource: {
  organization: string;
  project: string;
  kind: ResourceKind;
  name: string;
  labels?: Record<string, string>;
}): NonNullable<ResourceRequest['admit']> {
  const { organization, project, kind, name, labels = {} } = resource;
  return async (tx, spec, referred) => {
    const asked = { organization, project, kind, name, labels, spec };
    refuse(await resourceRefusals(tx, asked, referred), 'policy-refused');
  };
}

/** The same for a change of its labels; `about`: whose. */
export function checkLabelPolicies(about: {
  organization: string;
  project: string;
  kind: ResourceKind;
}): NonNullable<Parameters<typeof changeResource>[2]['admit']> {
  const { organization, project, kind } = about;
  return async (tx, wanted) =>
    refuse(await labelRefusals(tx, { organization, project, kind, ...wanted }), 'policy-refused');
}
