/** Projects, the kinds of things in them, instances with what belongs to them. */
import type { Instance, Schemas } from '@landfall/model';
import { gib, moment, pricePerHour, pricePerMonth } from '@landfall/model/quantities.ts';
import { webConsole } from '@landfall/model/web-console.ts';
import type { Estate } from './estate.ts';
import {
  isPlainKind,
  isResourceKind,
  type Plain,
  type PlainKind,
  plainKinds,
  type Resource,
  type ResourceKind,
  resourceKinds,
} from './kinds.ts';
import { plainNode } from './plain-nodes.ts';
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

/** Without a project: of the organization. */
const groupId = (project: string | undefined, kind: string): string =>
  project === undefined ? `organization//${kind}` : `project/${project}/${kind}`;
const itemId = ({ id }: { id: string }): string => `item/${id}`;

const groups = { Instance: { plural: 'Instances', icon: 'vm' }, ...resourceKinds, ...plainKinds };
type GroupKind = 'Instance' | ResourceKind | PlainKind;

/** The view `Projects`. `open` is the project that is shown opened. */
export class ProjectsTree implements Tree {
  readonly #estate: Estate;
  readonly #open: string;
  readonly #windows = new Windows();
  /** Instances whose belongings have been looked at, by project. */
  readonly #looked = new Map<string, Set<string>>();

  constructor(estate: Estate, open: string) {
    this.#estate = estate;
    this.#open = open;
  }

  async children(parent?: TreeNode): Promise<TreeNode[]> {
    if (parent === undefined) {
      const projects = await nodesOf(
        this.#estate.projects,
        undefined,
        (project) => this.#projectNode(project),
        this.#windows,
      );
      // Where nothing can be read there is nothing to open either.
      if (!this.#estate.projects.loaded) return projects;
      return [...projects, this.#group(undefined, 'Image'), this.#group(undefined, 'PlacementPolicy')];
    }
    if (parent.subject?.kind === 'Project') return this.#groups(parent.subject.name);
    if (parent.subject?.kind === 'Instance') return this.#belongings(parent.subject as Instance);
    const [, project = '', kind = ''] = parent.id.split('/');
    if (isPlainKind(kind))
      return nodesOf(
        this.#estate.plain(kind, project || undefined),
        parent.id,
        (each) => plainNode(parent.id, each),
        this.#windows,
      );
    // Whether there is a page of it in a web console is the site's to say.
    await this.#estate.sites.load().catch(() => undefined);
    return isResourceKind(kind)
      ? nodesOf(
          this.#estate.resources(kind, project),
          parent.id,
          (each) => this.#resourceNode(each),
          this.#windows,
        )
      : nodesOf(
          this.#estate.instances(project),
          parent.id,
          (each) => this.#instanceNode(each),
          this.#windows,
        );
  }

  listen(listener: (change: TreeChange) => void): () => void {
    const endWindows = this.#windows.listen(listener);
    const endLists = this.#estate.listen({
      list: ({ kind, within }, { changed, structural }) => {
        const project = within ?? '';
        if (isPlainKind(kind))
          listener({
            nodes: (changed as Plain[]).map((each) => plainNode(groupId(within, kind), each)),
            parents: structural ? [groupId(within, kind)] : [],
          });
        else if (kind === 'Project')
          listener({
            nodes: (changed as Schemas['Project'][]).map((each) => this.#projectNode(each)),
            parents: structural ? [undefined] : [],
          });
        else if (kind === 'Instance')
          listener({
            nodes: (changed as Instance[]).map((each) => this.#instanceNode(each)),
            parents: [
              ...(structural ? [groupId(project, kind)] : []),
              ...(changed as Instance[])
                .filter((each) => this.#looked.get(project)?.has(itemId(each)))
                .map(itemId),
            ],
          });
        else if (isResourceKind(kind))
          listener({
            nodes: (changed as Resource[]).map((each) => this.#resourceNode(each)),
            parents: [
              ...(structural ? [groupId(project, kind)] : []),
              ...(kind === 'Volume' || kind === 'Address' ? (this.#looked.get(project) ?? []) : []),
            ],
          });
      },
    });
    return () => {
      endWindows();
      endLists();
    };
  }

  #instanceNode(instance: Instance): TreeNode {
    return this.#withPage(instance, instanceNode(instance));
  }

  #resourceNode(resource: Resource): TreeNode {
    return this.#withPage(resource, resourceNode(resource));
  }

  #withPage(subject: Instance | Resource, node: TreeNode): TreeNode {
    const site = subject.status.site && this.#estate.sites.get(subject.status.site);
    if (site && webConsole(subject, site).url !== undefined) node.context += ' web';
    return node;
  }

  #projectNode(project: Schemas['Project']): TreeNode {
    const { limits, name } = project;
    return {
      id: `project/${name}`,
      label: name,
      tooltip: fields([
        ['Project', name],
        ['Organization', project.organization],
        ['Limit of instances', limits.instances],
        ['Limit of vCPUs', limits.vcpus],
        ['Limit of memory', gib(limits.memoryGiB)],
      ]),
      icon: 'project',
      context: 'project',
      opens: name === this.#open ? 'open' : 'closed',
      subject: project,
    };
  }

  #groups(project: string): TreeNode[] {
    return [
      this.#group(project, 'Instance'),
      ...Object.keys(resourceKinds).map((kind) => this.#group(project, kind as ResourceKind)),
      this.#group(project, 'SshKey'),
      this.#group(project, 'PlacementPolicy'),
    ];
  }

  #group(project: string | undefined, kind: GroupKind): TreeNode {
    const { plural, icon } = groups[kind];
    return {
      id: groupId(project, kind),
      label: plural,
      icon,
      context: `group ${kind}`,
      opens: kind === 'Instance' && project === this.#open ? 'open' : 'closed',
    };
  }

  /** The network, addresses and volumes of an instance. Volumes and addresses of the project are read once for all. */
  async #belongings(instance: Instance): Promise<TreeNode[]> {
    const { project, name, spec, status } = instance;
    const looked = this.#looked.get(project) ?? new Set();
    this.#looked.set(project, looked.add(itemId(instance)));
    const leaf = (key: string, label: string, description: string, icon: string): TreeNode => ({
      id: `${itemId(instance)}/${key}`,
      label,
      description,
      icon,
      context: 'detail',
      opens: 'never',
    });
    const attached = async (kind: ResourceKind): Promise<TreeNode[]> => {
      const list = this.#estate.resources(kind, project);
      try {
        await list.load();
        while (list.more) await list.loadMore();
      } catch (error) {
        return [leaf(kind, `${resourceKinds[kind].plural}: ${(error as Error).message}`, '', 'warning')];
      }
      return list
        .items()
        .filter((each) => 'attachedTo' in each.spec && each.spec.attachedTo === name)
        .map((each) => ({ ...this.#resourceNode(each), id: `${itemId(instance)}/${each.id}` }));
    };
    const place = dotted(status.site, status.region, status.zone, status.host);
    return [
      ...(place ? [leaf('place', place, status.instanceType ?? '', 'location')] : []),
      ...(status.addresses ?? []).map(({ type, address }) =>
        leaf(`address/${address}`, address, `${type} address`, type === 'external' ? 'globe' : 'plug'),
      ),
      ...(spec.network
        ? [leaf('network', spec.network, dotted('network', spec.subnet), resourceKinds.Network.icon)]
        : []),
      ...(await attached('Volume')),
      ...(await attached('Address')),
    ];
  }
}

/** How an instance looks. */
export function instanceNode(instance: Instance): TreeNode {
  const { spec, status } = instance;
  const where = dotted(status.provider, status.region !== status.site && status.region, status.host);
  const running = status.state === 'Running';
  return {
    id: itemId(instance),
    label: instance.name,
    description: dotted(
      status.state,
      where,
      status.state === 'Pending' || status.state === 'Failed' ? status.message : undefined,
      status.pricePerMonth !== undefined && `${pricePerMonth(status.pricePerMonth, status.currency)}/month`,
    ),
    tooltip: fields([
      ['Instance', instance.name],
      ['State', status.state],
      ['Message', status.message],
      ['Size', `${status.vcpus ?? spec.vcpus} vCPU, ${gib(status.memoryGiB ?? spec.memoryGiB)}`],
      ['Instance type', status.instanceType],
      ['Image', spec.image],
      ['Where', dotted(status.site, status.region, status.zone, status.host)],
      [
        'Price',
        dotted(pricePerHour(status.pricePerHour, status.currency), pricePerMonth(status.pricePerMonth)),
      ],
      [
        'Labels',
        Object.entries(instance.labels)
          .map(([key, value]) => `${key}=${value}`)
          .join(', '),
      ],
      ['Ready', moment(status.readyAt, Date.now())],
      ['Expires', moment(status.expiresAt, Date.now())],
    ]),
    icon: running ? 'vm-running' : 'vm-outline',
    color: running ? 'testing.iconPassed' : undefined,
    ...stateIcon(status.state),
    context: `instance ${status.state}${status.ssh ? ' ssh' : ''}${status.addresses?.length ? ' addressed' : ''}`,
    opens: 'closed',
    subject: instance,
  };
}

function resourceNode(resource: Resource): TreeNode {
  const { kind, name, spec, status } = resource;
  return {
    id: itemId(resource),
    label: name,
    description: dotted(
      status.state !== 'Ready' && status.state,
      'sizeGiB' in status && gib(status.sizeGiB),
      'address' in status && status.address,
      'cidr' in status && status.cidr,
      'attachedTo' in spec && spec.attachedTo && `on ${spec.attachedTo}`,
      status.state === 'Failed' && status.message,
    ),
    tooltip: fields([
      [kind, name],
      ['State', status.state],
      ['Message', status.message],
      ['Where', dotted(status.site, status.region, status.zone, status.host)],
      ['Reference', status.externalReference],
    ]),
    icon: resourceKinds[kind].icon,
    ...stateIcon(status.state),
    context: `resource ${kind}${'attachedTo' in spec && spec.attachedTo ? ' attached' : ''}`,
    opens: 'never',
    subject: resource,
  };
}
