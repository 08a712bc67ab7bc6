/** Sites with their health, and hosts with what they have and what is taken of it. */
import type { Host, Site } from '@landfall/model';
import { counted, gib, moment, number } from '@landfall/model/quantities.ts';
import { type AdoptableKind, adoptableKinds, type Unmanaged } from './adoption.ts';
import type { Estate } from './estate.ts';
import {
  dotted,
  fields,
  nodesOf,
  stateIcon,
  type Tree,
  type TreeChange,
  type TreeNode,
  Windows,
} from './tree.ts';

const siteId = (name: string): string => `site/${name}`;
const unmanagedId = (site: string, kind?: string): string =>
  ['unmanaged', site, ...(kind ? [kind] : [])].join('/');

/** The view `Sites`. */
export class SitesTree implements Tree {
  readonly #estate: Estate;
  readonly #windows = new Windows();

  constructor(estate: Estate) {
    this.#estate = estate;
  }

  async children(parent?: TreeNode): Promise<TreeNode[]> {
    if (parent === undefined) return nodesOf(this.#estate.sites, undefined, siteNode, this.#windows);
    if (parent.subject?.kind === 'Site') {
      const { name, spec } = parent.subject as Site;
      const hosts =
        spec.provider === 'onprem'
          ? await nodesOf(this.#estate.hosts(name), parent.id, hostNode, this.#windows)
          : [];
      return [...hosts, unmanagedNode(name)];
    }
    const [, site = '', kind] = parent.id.split('/');
    if (kind !== undefined) return this.#unmanaged(site, kind as AdoptableKind, parent.id);
    const kinds = await adoptableKinds(this.#estate.connection, site);
    // A level with one thing in it is one too many.
    return kinds.length === 1
      ? this.#unmanaged(site, kinds[0]!, parent.id)
      : kinds.map((each) => unmanagedNode(site, each));
  }

  async #unmanaged(site: string, kind: AdoptableKind, parent: string): Promise<TreeNode[]> {
    const { list, isWhole } = this.#estate.unmanaged(site, kind);
    const nodes = await nodesOf(list, parent, itemNode, this.#windows);
    const said = (key: string, label: string, icon: string): TreeNode => ({
      ...{ id: `${parent}/${key}`, label, icon, context: 'detail', opens: 'never' },
    });
    if (list.loaded && list.size === 0 && !list.more)
      nodes.push(said('none', 'Nothing that is not Landfall’s', 'check'));
    if (!isWhole()) nodes.unshift(said('partial', 'A part of the site could not be read', 'warning'));
    return nodes;
  }

  listen(listener: (change: TreeChange) => void): () => void {
    const endWindows = this.#windows.listen(listener);
    const endLists = this.#estate.listen({
      list: ({ kind, within }, { changed, structural }) => {
        if (kind === 'Site')
          listener({ nodes: (changed as Site[]).map(siteNode), parents: structural ? [undefined] : [] });
        if (kind === 'Unmanaged') {
          const [site = '', each] = within!.split('/');
          // Of a site that adopts one kind only, they stand right under it.
          if (structural) listener({ nodes: [], parents: [unmanagedId(site), unmanagedId(site, each)] });
        }
        if (kind === 'Host')
          listener({
            nodes: (changed as Host[]).map(hostNode),
            parents: structural ? [siteId(within!)] : [],
          });
      },
    });
    return () => {
      endWindows();
      endLists();
    };
  }
}

function siteNode(site: Site): TreeNode {
  const { name, spec, status } = site;
  const onprem = spec.provider === 'onprem';
  return {
    id: siteId(name),
    label: name,
    description: dotted(
      spec.provider,
      status.state !== 'Ready' && (status.message || status.state),
      onprem && status.hosts !== undefined && counted(status.hosts, 'host'),
      status.instances !== undefined && counted(status.instances, 'instance'),
    ),
    tooltip: fields([
      ['Site', name],
      ['State', status.state],
      ['Message', status.message],
      ['Provider', spec.provider],
      ['Regions', spec.regions?.join(', ')],
      ['Endpoint', spec.endpoint],
      ['Last inventory', moment(status.lastInventoryAt, Date.now())],
    ]),
    icon: onprem ? 'server-environment' : 'cloud',
    color: status.state === 'Ready' ? 'testing.iconPassed' : undefined,
    ...stateIcon(status.state),
    context: `site ${spec.provider}`,
    opens: onprem ? 'open' : 'closed',
    subject: site,
  };
}

function hostNode(host: Host): TreeNode {
  const { capacity, claimed } = host;
  const of = (what: 'vcpus' | 'memoryGiB' | 'diskGiB') =>
    `${number(claimed[what])}/${number(capacity[what])}`;
  return {
    id: `host/${host.site}/${host.name}`,
    label: host.name,
    description: dotted(
      host.state !== 'Ready' && host.state,
      `${of('vcpus')} vCPU`,
      `${of('memoryGiB')} GiB memory`,
      `${of('diskGiB')} GiB disk`,
    ),
    tooltip: fields([
      ['Host', host.name],
      ['State', host.state],
      ['Last seen', moment(host.lastSeenAt, Date.now())],
      ['Zone', host.zone],
      ['vCPUs taken', of('vcpus')],
      ['Memory taken', `${number(claimed.memoryGiB)} of ${gib(capacity.memoryGiB)}`],
      ['Disk taken', `${number(claimed.diskGiB)} of ${gib(capacity.diskGiB)}`],
      ['Virtualization', host.accel],
      ['Architecture', host.architecture],
      ['Agent', host.agentVersion],
    ]),
    icon: 'server',
    ...stateIcon(host.state),
    context: 'host',
    opens: 'never',
    subject: host,
  };
}

/** The level under a site with what exists there without Landfall; or one kind of it. */
function unmanagedNode(site: string, kind?: AdoptableKind): TreeNode {
  return {
    id: unmanagedId(site, kind),
    label: kind ?? 'Unmanaged',
    description: kind === undefined ? `at ${site}` : undefined,
    tooltip: `What exists at ${site} and is not Landfall’s; asked of it when this is opened.`,
    icon: 'question',
    context: 'unmanagedGroup',
    opens: 'closed',
  };
}

function itemNode(item: Unmanaged): TreeNode {
  const { externalReference, kind, name, region, zone, host, state, power, refused } = item;
  const size = dotted(
    item.vcpus !== undefined && `${number(item.vcpus)} vCPU`,
    item.memoryGiB !== undefined && gib(item.memoryGiB),
    item.diskGiB !== undefined && `${gib(item.diskGiB)} disk`,
  );
  return {
    id: `unmanaged/${item.site}/${kind}/${externalReference}`,
    label: name ?? externalReference,
    description: refused ?? dotted(power ?? state, region),
    tooltip: fields([
      [kind, name],
      ['Reference', externalReference],
      ['State', power ?? state],
      ['Where', dotted(item.site, region, zone, host)],
      ['Size', size],
      ['Instance type', item.instanceType],
      ['Image', item.image],
      ['Addresses', item.addresses.map(({ address }) => address).join(', ')],
      [
        'Labels',
        Object.entries(item.labels)
          .map(([key, value]) => `${key}=${value}`)
          .join(', '),
      ],
      ['Made', moment(item.createdAt, Date.now())],
      ['Cannot be adopted', refused],
    ]),
    icon: refused === undefined ? 'circle-outline' : 'circle-slash',
    context: refused === undefined ? 'unmanaged' : 'refused',
    opens: 'never',
    subject: { kind: 'Unmanaged', id: externalReference, item },
  };
}
