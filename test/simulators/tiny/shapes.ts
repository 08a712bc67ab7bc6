import { type Details, type Kind, ProviderError, type Specs } from '@landfall/adapters';
import type { TinyObject } from './cloud.ts';

/** What a kind is at the tiny provider. */
export interface Shape<K extends Kind> {
  /** The properties of its object; throws `Invalid` with the field where the provider cannot make such a one. */
  properties(spec: Specs[K]): Record<string, unknown>;
  /** Those that may be changed later. */
  changeable: readonly string[];
  /** `all`: everything that there is, for what other objects say of this one. */
  details(object: TinyObject, all: TinyObject[]): Details[K];
}

export const instanceTypes: Record<string, { vcpus: number; memoryGiB: number }> = {
  'tiny.small': { vcpus: 1, memoryGiB: 1 },
  'tiny.large': { vcpus: 2, memoryGiB: 4 },
};

const named = ['name', 'labels'] as const;
const invalid = (field: string, message: string) => new ProviderError('Invalid', message, { field });

export const shapes: { [K in Kind]: Shape<K> } = {
  Instance: {
    properties({ image, network, sshKeys: _keys, userData: _data, ...spec }) {
      if (image && !image.custom && image.onprem === undefined)
        throw invalid('/image', `the tiny provider has no image ${image.name}`);
      const type = instanceTypes[spec.instanceType];
      if (type?.vcpus !== spec.vcpus || type.memoryGiB !== spec.memoryGiB)
        throw invalid('/instanceType', `the tiny provider has no ${spec.instanceType} of that size`);
      return { ...spec, from: image?.custom, network: network?.ref, subnet: network?.subnet };
    },
    changeable: [...named, 'instanceType', 'vcpus', 'memoryGiB', 'power', 'reboots', 'firewalls'],
    details({ id, properties }, all) {
      const { power, vcpus, memoryGiB, instanceType, reboots, disk, reclaimed } =
        properties as unknown as Details['Instance'] & { disk: string; reclaimed?: boolean };
      const subnets = all.flatMap((each) => (each.type === 'Network' ? subnetsOf(each) : []));
      const cidr = subnets.find(({ ref }) => ref === properties.subnet)?.cidr ?? '192.168.0.0/16';
      const number = 2 + (Number(properties.serial) % 250);
      const reserved = all.filter(
        ({ type, properties: { attachedTo } }) => type === 'Address' && attachedTo === id,
      );
      return {
        power,
        vcpus,
        memoryGiB,
        instanceType,
        reboots,
        children: [disk],
        ...(reclaimed ? { interrupted: { reason: 'Reclaimed' } } : {}),
        addresses: [
          { type: 'internal', address: cidr.replace(/\d+\/\d+$/, String(number)) },
          ...reserved.map((each) => ({ type: 'external' as const, address: addressOf(each) })),
          ...(properties.publicAddress
            ? [{ type: 'external' as const, address: `203.0.113.${number}` }]
            : []),
        ],
      };
    },
  },
  Volume: {
    properties: ({ snapshot, ...spec }) => ({ ...spec, from: snapshot, attachedTo: spec.attachedTo }),
    changeable: [...named, 'sizeGiB', 'attachedTo'],
    details: ({ properties }) => {
      const { sizeGiB, type, attachedTo } = properties as unknown as Details['Volume'];
      return { sizeGiB, type, ...(attachedTo ? { attachedTo } : {}), children: [] };
    },
  },
  Snapshot: {
    properties: ({ volume, ...spec }) => ({ ...spec, from: volume }),
    changeable: named,
    details: ({ properties }) => ({ sizeGiB: Number(properties.sizeGiB), children: [] }),
  },
  Image: {
    properties({ source, ...spec }) {
      // One that was adopted is never made.
      if (!source) return spec;
      if ('url' in source) throw invalid('/source/url', 'the tiny provider fetches nothing');
      return { ...spec, from: 'instance' in source ? source.instance : source.snapshot };
    },
    changeable: named,
    details: () => ({ children: [] }),
  },
  Network: {
    properties(spec) {
      spec.subnets.forEach((subnet, at) => {
        if (!inside(subnet.cidr, spec.cidr))
          throw invalid(`/subnets/${at}/cidr`, `${subnet.cidr} is not inside ${spec.cidr}`);
      });
      return { ...spec };
    },
    changeable: named,
    details: (object) => ({
      cidr: String(object.properties.cidr),
      subnets: subnetsOf(object),
      children: [],
    }),
  },
  Firewall: {
    properties: (spec) => ({ ...spec }),
    changeable: [...named, 'rules'],
    details: ({ properties }) => ({ rules: properties.rules as Specs['Firewall']['rules'], children: [] }),
  },
  Address: {
    properties: (spec) => ({ ...spec, attachedTo: spec.attachedTo }),
    changeable: [...named, 'attachedTo'],
    details: (object) => {
      const { attachedTo } = object.properties as { attachedTo?: string };
      return { address: addressOf(object), ...(attachedTo ? { attachedTo } : {}), children: [] };
    },
  },
};

function addressOf({ properties }: TinyObject): string {
  return `198.51.100.${1 + (Number(properties.serial) % 250)}`;
}

function subnetsOf({ id, properties }: TinyObject): Details['Network']['subnets'] {
  // Somebody else’s network need not have any.
  const subnets = (properties.subnets ?? []) as Specs['Network']['subnets'];
  return subnets.map((subnet) => ({ ...subnet, ref: `${id}/${subnet.name}` }));
}

function inside(inner: string, outer: string): boolean {
  const [from, to] = [rangeOf(inner), rangeOf(outer)];
  return from.first >= to.first && from.last <= to.last;
}

function rangeOf(cidr: string): { first: number; last: number } {
  const [address = '', bits = ''] = cidr.split('/');
  const first = address.split('.').reduce((sum, byte) => sum * 256 + Number(byte), 0);
  return { first, last: first + 2 ** (32 - Number(bits)) - 1 };
}
