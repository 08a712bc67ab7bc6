import type { Site } from '@landfall/model';
import { siteErrors } from '@landfall/model/site-rules.ts';
import { homeOrganization } from './authorization.ts';
import { Problem } from './problems.ts';

/** Throws `unprocessable` with everything that the schema cannot say of a site, `forbidden` for what only the operators may name. */
export function checkSite(organization: string, spec: Site['spec']): void {
  const errors = siteErrors(spec);
  if (errors.length > 0)
    throw new Problem('unprocessable', `${errors[0]!.pointer} ${errors[0]!.message}.`, { errors });
  const source = spec.credentials?.source;
  if (organization !== homeOrganization && (source === 'file' || source === 'command'))
    throw new Problem(
      'forbidden',
      `/spec/credentials/source is ${source}: only sites of organization ${homeOrganization}, whose admins run this Landfall, may name a file or a program of the worker's machine.`,
    );
}
