/** A tree of the estate as a view of the editor. */
import {
  type Disposable,
  EventEmitter,
  MarkdownString,
  ThemeColor,
  ThemeIcon,
  type TreeDataProvider,
  TreeItem,
  TreeItemCollapsibleState,
  type TreeView,
  window,
} from 'vscode';
import { isPlainKind } from './kinds.ts';
import type { Tree, TreeChange, TreeNode } from './tree.ts';

/** Changes are drawn together that come within so long of each other. */
const drawAfterMs = 50;

const collapsible = {
  never: TreeItemCollapsibleState.None,
  closed: TreeItemCollapsibleState.Collapsed,
  open: TreeItemCollapsibleState.Expanded,
};

/** Shows one tree at a time: another broker's after a switch. */
export class EstateView implements TreeDataProvider<TreeNode>, Disposable {
  readonly view: TreeView<TreeNode>;
  readonly #changed = new EventEmitter<TreeNode[] | undefined>();
  readonly onDidChangeTreeData = this.#changed.event;
  /** The editor knows nodes by identity: one object for each id, changed in place. */
  readonly #nodes = new Map<string, TreeNode>();
  readonly #childIds = new Map<string | undefined, string[]>();
  #tree: Tree | undefined;
  #isLive = (): boolean => false;
  #message: string | undefined;
  #unlisten = (): void => undefined;
  #drawing: NodeJS.Timeout | undefined;
  #toDraw = new Set<TreeNode | undefined>();

  constructor(id: string) {
    this.view = window.createTreeView(id, {
      treeDataProvider: this,
      showCollapseAll: true,
      // Commands of other views are about one thing.
      canSelectMany: id === 'landfall.sites',
    });
  }

  /** Shows this tree; nothing where there is none. `isLive`: whether its broker answers. */
  show(tree: Tree | undefined, isLive: () => boolean = () => false): void {
    this.#isLive = isLive;
    this.#unlisten();
    this.#tree = tree;
    this.#nodes.clear();
    this.#childIds.clear();
    this.say(undefined);
    this.#unlisten = tree?.listen((change) => this.#take(change)) ?? (() => undefined);
    this.#draw(undefined);
  }

  /** Said above the nodes. Not above none: the view's welcome says what to do, and the editor shows one or the other. */
  say(message: string | undefined): void {
    this.#message = message;
    this.view.message = this.#childIds.get(undefined)?.length ? message : undefined;
  }

  /** Asks for everything again; lists that have been read are not read again by this. */
  draw(): void {
    this.#draw(undefined);
  }

  async getChildren(parent?: TreeNode): Promise<TreeNode[]> {
    const tree = this.#tree;
    if (tree === undefined) return [];
    const fresh = await tree.children(parent);
    if (tree !== this.#tree) return [];
    // Without a connection an empty view shows its welcome, which says what to do.
    if (parent === undefined && !this.#isLive() && fresh.length === 1 && fresh[0]?.context === 'failed')
      fresh.pop();
    const ids = fresh.map(({ id }) => id);
    const now = new Set(ids);
    for (const id of this.#childIds.get(parent?.id) ?? []) if (!now.has(id)) this.#forget(id);
    this.#childIds.set(parent?.id, ids);
    if (parent === undefined) this.say(this.#message);
    return fresh.map((node) => this.#keep(node));
  }

  getTreeItem(node: TreeNode): TreeItem {
    const item = new TreeItem(node.label, collapsible[node.opens]);
    item.id = node.id;
    item.description = node.description;
    item.iconPath = new ThemeIcon(node.icon, node.color ? new ThemeColor(node.color) : undefined);
    item.contextValue = node.context;
    if (node.tooltip) item.tooltip = new MarkdownString().appendText(node.tooltip);
    if (node.more) item.command = { command: 'landfall.loadMore', title: 'Load More', arguments: [node] };
    if (node.subject?.kind === 'Operation')
      item.command = { command: 'landfall.showTimeline', title: 'Show Timeline', arguments: [node] };
    if (node.subject && isPlainKind(node.subject.kind))
      item.command = { command: 'landfall.showYaml', title: 'Show as YAML', arguments: [node] };
    return item;
  }

  dispose(): void {
    this.show(undefined);
    clearTimeout(this.#drawing);
    this.view.dispose();
    this.#changed.dispose();
  }

  #take({ nodes, parents }: TreeChange): void {
    for (const node of nodes) if (this.#nodes.has(node.id)) this.#draw(this.#keep(node));
    for (const parent of parents) {
      const node = parent === undefined ? undefined : this.#nodes.get(parent);
      if (parent === undefined || node) this.#draw(node);
    }
  }

  #keep(node: TreeNode): TreeNode {
    const known = this.#nodes.get(node.id);
    if (known === undefined) {
      this.#nodes.set(node.id, node);
      return node;
    }
    known.description = undefined;
    known.color = undefined;
    return Object.assign(known, node);
  }

  #forget(id: string): void {
    this.#nodes.delete(id);
    const ids = this.#childIds.get(id) ?? [];
    this.#childIds.delete(id);
    for (const each of ids) this.#forget(each);
  }

  #draw(node: TreeNode | undefined): void {
    this.#toDraw.add(node);
    this.#drawing ??= setTimeout(() => {
      this.#drawing = undefined;
      const nodes = [...this.#toDraw];
      this.#toDraw = new Set();
      this.#changed.fire(nodes.includes(undefined) ? undefined : (nodes as TreeNode[]));
    }, drawAfterMs);
  }
}
