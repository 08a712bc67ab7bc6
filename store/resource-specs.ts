import { contains, overlap, type Range, rangeOf } from './cidr.ts';
import type { ResourceKind, ResourceSpec } from './database.ts';
import { StoreError } from './errors.ts';

/** The spec with the defaults that hold for every change. Throws `invalid`, with the pointer, where what the API document cannot say is not so. */
export function checkedSpec(kind: ResourceKind, spec: ResourceSpec): ResourceSpec {
  if (kind === 'Volume') return checkedVolume(spec);
  if (kind === 'Network') return checkedNetwork(spec);
  if (kind === 'Firewall') return checkedFirewall(spec);
  return spec;
}

function checkedVolume(spec: ResourceSpec): ResourceSpec {
  if (spec.sizeGiB === undefined && spec.snapshot === undefined)
    throw new StoreError('invalid', 'is needed, unless the volume is made from a snapshot', '/spec/sizeGiB');
  return spec;
}

function checkedNetwork(given: ResourceSpec): ResourceSpec {
  const cidr = given.cidr ?? '10.20.0.0/16';
  const subnets = given.subnets ?? [{ name: 'default', cidr }];
  const network = range(cidr, '/spec/cidr');
  if (network.bits < 8 || network.bits > 28)
    throw new StoreError('invalid', `must have a prefix from 8 to 28, has ${network.bits}`, '/spec/cidr');
  const seen: { name: string; range: Range }[] = [];
  for (const [index, subnet] of subnets.entries()) {
    const pointer = `/spec/subnets/${index}`;
    const own = range(subnet.cidr, `${pointer}/cidr`);
    if (!contains(network, own))
      throw new StoreError(
        'invalid',
        `must be inside the network's ${cidr}, is ${subnet.cidr}`,
        `${pointer}/cidr`,
      );
    for (const other of seen) {
      if (other.name === subnet.name)
        throw new StoreError('invalid', `is the name of two subnets: ${subnet.name}`, `${pointer}/name`);
      if (overlap(other.range, own))
        throw new StoreError('invalid', `overlaps with subnet ${other.name}`, `${pointer}/cidr`);
    }
    seen.push({ name: subnet.name, range: own });
  }
  return { ...given, cidr, subnets };
}

function checkedFirewall(spec: ResourceSpec): ResourceSpec {
  const rules = (spec.rules ?? []).map((rule, index) => {
    const pointer = `/spec/rules/${index}`;
    if (rule.ports && (rule.protocol === 'icmp' || rule.protocol === 'all'))
      throw new StoreError('invalid', `${rule.protocol} has no ports: leave them out`, `${pointer}/ports`);
    if (rule.ports && rule.ports.from > rule.ports.to)
      throw new StoreError(
        'invalid',
        `from must be at most to: ${rule.ports.from} is above ${rule.ports.to}`,
        `${pointer}/ports`,
      );
    const sources = rule.sources ?? ['0.0.0.0/0'];
    sources.forEach((source, at) => {
      range(source, `${pointer}/sources/${at}`);
    });
    return { ...rule, sources };
  });
  return { ...spec, rules };
}

function range(cidr: string, pointer: string): Range {
  const found = rangeOf(cidr);
  if (typeof found === 'string') throw new StoreError('invalid', `${cidr} ${found}`, pointer);
  return found;
}
