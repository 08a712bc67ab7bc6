/** Trees of the estate as plain data: what a view shows, without the editor. */
import type { Host, Instance, Operation, Schemas, Site } from '@landfall/model';
import type { Unmanaged } from './adoption.ts';
import type { Plain, Resource } from './kinds.ts';
import type { PagedList } from './paged-list.ts';

/** What exists at a site without Landfall: it has no id but the provider's. */
export interface UnmanagedSubject {
  kind: 'Unmanaged';
  id: string;
  item: Unmanaged;
}

/** What a node stands for: what commands act on. */
export type Subject =
  | UnmanagedSubject
  | Site
  | Host
  | Schemas['Project']
  | Instance
  | Resource
  | Plain
  | Operation
  | Schemas['Violation']
  | Schemas['Approval'];

/** One line of a tree. */
export interface TreeNode {
  /** Stays the same while the thing is the same. */
  readonly id: string;
  label: string;
  description?: string;
  tooltip?: string;
  /** A codicon. */
  icon: string;
  /** A theme color of the icon. */
  color?: string;
  /** What menus look at: words with blanks between. */
  context: string;
  opens: 'never' | 'closed' | 'open';
  subject?: Subject;
  /** For `Load more`: reads the next page; answers whether there is another. */
  more?: () => Promise<boolean>;
}

/** Nodes that look otherwise now, and parents whose children are others (undefined: the roots). */
export interface TreeChange {
  nodes: TreeNode[];
  parents: (string | undefined)[];
}

/** What a view asks. */
export interface Tree {
  children(parent?: TreeNode): Promise<TreeNode[]>;
  /** Answers what ends it. */
  listen(listener: (change: TreeChange) => void): () => void;
}

/** So many nodes are shown under a parent before more are asked for: an editor takes seconds to take in thousands. */
const windowSize = 500;

/** How much of its lists a tree shows. */
export class Windows {
  readonly #sizes = new Map<string | undefined, number>();
  readonly #listeners = new Set<(change: TreeChange) => void>();

  of(parent: string | undefined): number {
    return this.#sizes.get(parent) ?? windowSize;
  }

  widen(parent: string | undefined): void {
    this.#sizes.set(parent, this.of(parent) + windowSize);
    for (const listener of this.#listeners) listener({ nodes: [], parents: [parent] });
  }

  listen(listener: (change: TreeChange) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }
}

/** The nodes of a list, read now if it has not been; at the end what is not shown yet, or why nothing can be. */
export async function nodesOf<T>(
  list: PagedList<T>,
  parent: string | undefined,
  node: (item: T) => TreeNode,
  windows: Windows,
): Promise<TreeNode[]> {
  const under = parent ?? 'root';
  try {
    await list.load();
  } catch (error) {
    return [
      {
        id: `${under}/failed`,
        label: (error as Error).message,
        icon: 'warning',
        color: 'problemsWarningIcon.foreground',
        context: 'failed',
        opens: 'never',
      },
    ];
  }
  const size = windows.of(parent);
  const nodes = list.items().slice(0, size).map(node);
  if (list.size > size || list.more)
    nodes.push({
      id: `${under}/more`,
      label: 'Load more…',
      description: `${nodes.length.toLocaleString('en-US')} shown`,
      icon: 'ellipsis',
      context: 'more',
      opens: 'never',
      more: async () => {
        if (list.size <= windows.of(parent)) await list.loadMore();
        windows.widen(parent);
        return list.more || list.size > windows.of(parent);
      },
    });
  return nodes;
}

/** Parts that are there, with dots between. */
export function dotted(...parts: (string | undefined | null | false)[]): string {
  return parts.filter(Boolean).join(' · ');
}

/** Lines of a tooltip: only fields that have a value. */
export function fields(entries: [string, string | number | undefined | null][]): string {
  return entries
    .filter(([, value]) => value !== undefined && value !== null && value !== '')
    .map(([name, value]) => `${name}: ${value}`)
    .join('\n');
}

/** Icons of states that mean the same for every kind. */
export function stateIcon(state: string): Pick<TreeNode, 'icon' | 'color'> | undefined {
  switch (state) {
    case 'Failed':
      return { icon: 'error', color: 'problemsErrorIcon.foreground' };
    case 'Lost':
    case 'Unreachable':
    case 'Unavailable':
      return { icon: 'warning', color: 'problemsWarningIcon.foreground' };
    case 'Pending':
      return { icon: 'clock' };
    case 'Adopting':
    case 'Provisioning':
    case 'Creating':
    case 'Updating':
    case 'Starting':
    case 'Stopping':
    case 'Rebooting':
    case 'Resizing':
    case 'Deleting':
    case 'Releasing':
      return { icon: 'loading~spin' };
    default:
      return undefined;
  }
}
