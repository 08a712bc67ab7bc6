import {
  ArmError,
  type Body,
  type Content,
  type Estate,
  parentOf,
  same,
  type Thing,
  typeOf,
} from './thing.ts';

/** What the simulated Network asks of what is made, what it adds to it, and what it refuses to delete. */

/** Types whose answers hold their parts, which have addresses of their own. */
export const partsIn: Record<string, string> = {
  virtualnetworks: 'subnets',
  networksecuritygroups: 'securityRules',
};

interface Range {
  first: number;
  size: number;
}

function rangeOf(cidr: string): Range {
  const [, base = '', bits = ''] = /^(\d+\.\d+\.\d+\.\d+)\/(\d+)$/.exec(cidr) ?? [];
  const size = 2 ** (32 - Number(bits));
  const first = base.split('.').reduce((sum, byte) => sum * 256 + Number(byte), 0);
  if (base === '' || first % size !== 0)
    throw new ArmError(
      400,
      'InvalidCIDRNotation',
      `The address prefix ${cidr} has an invalid CIDR notation.`,
    );
  return { first, size };
}

const written = (address: number): string =>
  [24, 16, 8, 0].map((shift) => Math.floor(address / 2 ** shift) % 256).join('.');

export function checkNetwork(estate: Estate, id: string, body: Content, existing: Thing | undefined): void {
  const { properties } = body;
  const type = typeOf(id);
  if (type === 'virtualnetworks') checkSubnets(estate, id, properties);
  if (type === 'networksecuritygroups') checkPriorities(properties.securityRules ?? []);
  if (type === 'securityrules') {
    for (const group of properties.destinationApplicationSecurityGroups ?? []) estate.need(group.id, id);
    const others = rulesOf(estate, parentOf(id)).filter((rule) => !same(rule.id, id));
    checkPriorities([...others, { ...body, id, name: id.split('/').at(-1), type: '' }] as Body[]);
  }
  if (type === 'networkinterfaces') checkInterface(estate, id, body, existing);
}

function checkSubnets(estate: Estate, id: string, properties: Content['properties']): void {
  const spaces = (properties.addressSpace?.addressPrefixes ?? []).map(rangeOf) as Range[];
  const subnets: { name: string; properties: Content['properties'] }[] = properties.subnets ?? [];
  const taken: (Range & { name: string })[] = [];
  for (const { name, properties: subnet } of subnets) {
    if (subnet.networkSecurityGroup) estate.need(subnet.networkSecurityGroup.id, id);
    const range = rangeOf(subnet.addressPrefix);
    const end = range.first + range.size;
    if (!spaces.some(({ first, size }) => first <= range.first && end <= first + size))
      throw new ArmError(
        400,
        'NetcfgSubnetRangeOutsideVnet',
        `Subnet '${name}' is not valid in virtual network '${id.split('/').at(-1)}'.`,
      );
    const clash = taken.find(({ first, size }) => first < end && range.first < first + size);
    if (clash)
      throw new ArmError(400, 'NetcfgSubnetRangesOverlap', `Subnet '${name}' overlaps with '${clash.name}'.`);
    taken.push({ ...range, name });
  }
  for (const subnet of estate.all('subnets'))
    if (same(parentOf(subnet.body.id), id) && !subnets.some(({ name }) => name === subnet.body.name))
      refuseInUse(estate, subnet);
}

function checkPriorities(rules: Pick<Body, 'name' | 'properties'>[]): void {
  const taken = new Map<string, string>();
  for (const { name, properties } of rules) {
    const { priority, direction } = properties;
    if (!(priority >= 100 && priority <= 4096))
      throw new ArmError(
        400,
        'SecurityRuleInvalidPriority',
        `Security rule has invalid priority ${priority}.`,
      );
    const other = taken.get(`${direction} ${priority}`);
    if (other)
      throw new ArmError(
        400,
        'SecurityRuleConflict',
        `Security rule ${name} conflicts with rule ${other}. Rules cannot have the same Priority and Direction.`,
      );
    taken.set(`${direction} ${priority}`, name);
  }
}

function rulesOf(estate: Estate, group: string): Body[] {
  return estate
    .all('securityrules')
    .map(({ body }) => body)
    .filter(({ id }) => same(parentOf(id), group));
}

/** Every configuration of every interface, with the interface it is of. */
function configsOf(estate: Estate): { nic: Body; name: string; config: Content['properties'] }[] {
  return estate.all('networkinterfaces').flatMap(({ body }) =>
    (body.properties.ipConfigurations ?? []).map(
      (one: { name: string; properties: Content['properties'] }) => ({
        nic: body,
        name: one.name,
        config: one.properties,
      }),
    ),
  );
}

function checkInterface(
  estate: Estate,
  id: string,
  { properties }: Content,
  existing: Thing | undefined,
): void {
  if (properties.networkSecurityGroup) estate.need(properties.networkSecurityGroup.id, id);
  const others = configsOf(estate).filter(({ nic }) => !same(nic.id, id));
  const before: Content['properties'][] = existing?.body.properties.ipConfigurations ?? [];
  properties.ipConfigurations?.forEach(
    (one: { id?: string; name: string; properties: Content['properties'] }) => {
      const config = one.properties;
      const subnet = estate.need(config.subnet?.id, id).body;
      const address = config.publicIPAddress?.id;
      if (config.publicIPAddress) estate.need(address, id);
      const user = others.find((other) => address && same(other.config.publicIPAddress?.id, address));
      if (user)
        throw new ArmError(
          400,
          'PublicIPAddressInUse',
          `Resource ${address} is already allocated to ${user.nic.id}.`,
        );
      for (const { id: group } of config.applicationSecurityGroups ?? []) {
        estate.need(group, id);
        for (const other of others)
          if (
            (other.config.applicationSecurityGroups ?? []).some((each: Body) => same(each.id, group)) &&
            !same(parentOf(other.config.subnet.id), parentOf(subnet.id))
          )
            throw new ArmError(
              400,
              'ApplicationSecurityGroupsNotInSameVnet',
              `The interfaces of the application security group ${group} have to be in one virtual network.`,
            );
      }
      one.id = `${id}/ipConfigurations/${one.name}`;
      config.privateIPAllocationMethod ??= 'Dynamic';
      config.privateIPAddress ??=
        before.find(({ name }) => name === one.name)?.properties.privateIPAddress ??
        freeAddress(estate, subnet);
    },
  );
}

/** The lowest address of a subnet that nobody has; Azure keeps the first four and the last for itself. */
function freeAddress(estate: Estate, subnet: Body): string {
  const { first, size } = rangeOf(subnet.properties.addressPrefix);
  const taken = new Set(configsOf(estate).map(({ config }) => config.privateIPAddress));
  for (let address = first + 4; address < first + size - 1; address += 1)
    if (!taken.has(written(address))) return written(address);
  throw new ArmError(400, 'SubnetIsFull', `Subnet ${subnet.id} is full.`);
}

/** What Azure shows of an object of the network besides what was written: its parts, and who uses it. */
export function shownOfNetwork(estate: Estate, { id, properties }: Body): Content['properties'] {
  const parts = partsIn[typeOf(id)];
  if (parts) {
    const value = estate
      .all(parts.toLowerCase())
      .map(({ body }) => body)
      .filter((part) => same(parentOf(part.id), id))
      .map(({ id: part, name, etag, properties: said }) => ({ id: part, name, etag, properties: said }));
    return { ...properties, [parts]: value };
  }
  if (typeOf(id) !== 'publicipaddresses') return properties;
  const user = configsOf(estate).find(({ config }) => same(config.publicIPAddress?.id, id));
  return user
    ? { ...properties, ipConfiguration: { id: `${user.nic.id}/ipConfigurations/${user.name}` } }
    : properties;
}

/** @throws ArmError while something uses it, with Azure's code for it; that of an application security group is a guess. */
export function refuseInUse(estate: Estate, { body }: Thing): void {
  const type = typeOf(body.id);
  const configs = configsOf(estate);
  const uses = (ref: { id?: string } | undefined) => same(ref?.id, body.id);
  const refuse = (code: string, by: string | undefined) => {
    if (by !== undefined)
      throw new ArmError(400, code, `${body.id} cannot be deleted because it is in use by ${by}.`);
  };
  if (type === 'networkinterfaces') refuse('NicInUse', body.properties.virtualMachine?.id);
  if (type === 'publicipaddresses')
    refuse(
      'PublicIPAddressCannotBeDeleted',
      configs.find(({ config }) => uses(config.publicIPAddress))?.nic.id,
    );
  if (type === 'subnets')
    refuse('InUseSubnetCannotBeDeleted', configs.find(({ config }) => uses(config.subnet))?.nic.id);
  if (type === 'virtualnetworks')
    for (const subnet of estate.all('subnets'))
      if (same(parentOf(subnet.body.id), body.id)) refuseInUse(estate, subnet);
  if (type === 'networksecuritygroups')
    for (const user of [...estate.all('networkinterfaces'), ...estate.all('subnets')])
      if (uses(user.body.properties.networkSecurityGroup))
        refuse('InUseNetworkSecurityGroupCannotBeDeleted', user.body.id);
  if (type === 'applicationsecuritygroups') {
    const holds = (refs: { id?: string }[] | undefined) => refs?.some(uses) ?? false;
    const rules = estate.all('securityrules').map((rule) => rule.body);
    refuse(
      'ApplicationSecurityGroupInUse',
      configs.find(({ config }) => holds(config.applicationSecurityGroups))?.nic.id ??
        rules.find(({ properties }) => holds(properties.destinationApplicationSecurityGroups))?.id,
    );
  }
}
