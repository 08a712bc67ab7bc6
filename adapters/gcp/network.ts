import type { NetworkWant } from '../contract.ts';
import { ProviderError } from '../errors.ts';
import { rangesAreKept } from '../kinds.ts';
import { rangeOf } from './cidr.ts';
import type { Thing } from './collections.ts';
import type { KindLife, Seen } from './life.ts';
import { operationOf } from './operation.ts';
import { lastOf } from './places.ts';
import { descriptionOf, objectName, partOfSubnet } from './stamp.ts';

/**
 * A network is a VPC without subnetworks of its own making, with ours in the region. It has no range at Google: its description
 * keeps it. Neither it nor its subnetworks have labels: the stamp is in name and description, and name and labels for people are the
 * broker's alone.
 */
export const networkLife: KindLife<'Network', 'networks'> = {
  kind: 'Network',
  collection: 'networks',
  childCollection: 'subnetworks',
  check: ({ spec }) => checkRanges(spec),
  insert: (account, { spec, stamp, location }, { name, requestId }) =>
    account.inProject(async (project) =>
      account.clients.networks.insert(
        {
          project,
          requestId,
          networkResource: {
            name,
            description: descriptionOf(stamp, { region: location.region, cidr: spec.cidr }),
            autoCreateSubnetworks: false,
            routingConfig: { routingMode: 'REGIONAL' },
          },
        },
        account.call,
      ),
    ),
  async step(account, { spec, stamp, location }, seen) {
    rangesAreKept(rangesOf(seen), spec);
    const missing = missingSubnets(seen, spec)[0];
    if (!missing) return 'converged';
    const request = {
      project: await account.project(),
      region: location.region,
      subnetworkResource: {
        name: objectName(stamp, partOfSubnet(missing.name)),
        description: descriptionOf(stamp, { subnet: missing.name }),
        network: seen.main.ref,
        ipCidrRange: missing.cidr,
      },
    };
    return operationOf(account.clients.subnetworks.insert(request, account.call));
  },
  details: (seen) => ({ ...rangesOf(seen), children: seen.children.map(({ ref }) => ref) }),
  diff(seen, { spec }) {
    const diff: string[] = [];
    if (seen.main.stamp?.cidr !== spec.cidr) diff.push('cidr');
    if (missingSubnets(seen, spec).length > 0) diff.push('subnets');
    return diff;
  },
};

const rangesOf = ({ main, children }: Seen<'networks'>) => ({
  cidr: main.stamp?.cidr ?? '',
  subnets: subnetsOf(children).map(({ ref, stamp, body }) => ({
    name: stamp?.subnet ?? lastOf(body.name),
    cidr: body.ipCidrRange ?? '',
    ref,
  })),
});

const subnetsOf = (children: Thing[]) => children as Thing<'subnetworks'>[];

function missingSubnets({ children }: Seen<'networks'>, { subnets }: NetworkWant): NetworkWant['subnets'] {
  const there = new Set(subnetsOf(children).map(({ stamp }) => stamp?.subnet));
  return subnets.filter(({ name }) => !there.has(name));
}

function checkRanges({ cidr, subnets }: NetworkWant): void {
  const whole = rangeOf(cidr, '/cidr');
  const before: { name: string; first: number; last: number }[] = [];
  for (const [index, { name, cidr: range, zone }] of subnets.entries()) {
    const field = `/subnets/${index}/cidr`;
    const { first, last } = rangeOf(range, field);
    const bad = (why: string, at = field) => new ProviderError('Invalid', why, { field: at });
    if (first < whole.first || last > whole.last)
      throw bad(`the subnet ${name}, ${range}, is not inside ${cidr}`);
    const clash = before.find((other) => other.first <= last && first <= other.last);
    if (clash) throw bad(`the subnets ${clash.name} and ${name} overlap`);
    if (before.some((other) => other.name === name))
      throw bad(`two subnets are called ${name}`, `/subnets/${index}/name`);
    if (zone !== undefined)
      throw bad('a subnet of Google Cloud is in all zones of its region', `/subnets/${index}/zone`);
    before.push({ name, first, last });
  }
}
