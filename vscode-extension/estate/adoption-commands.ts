/** `Adopt`, `Release`, `Replace` and `Open in Web Console`. */
import type { Instance } from '@landfall/model';
import { webConsole } from '@landfall/model/web-console.ts';
import { candidatesOf, type Released, readPrices, requestRelease } from 'landfall/client.ts';
import { type ExtensionContext, env, ProgressLocation, Uri, window } from 'vscode';
import type { CurrentEstate } from './activate.ts';
import {
  type AdoptableKind,
  adopt,
  adoptableKinds,
  adoptionQuestion,
  releaseQuestion,
  replace,
  replaceQuestion,
  type Unmanaged,
} from './adoption.ts';
import { confirmed, estateCommands, told } from './command.ts';
import type { Estate } from './estate.ts';
import { pickInstance } from './instance-commands.ts';
import { isResourceKind, type Plain, type Resource } from './kinds.ts';
import type { PagedList } from './paged-list.ts';
import type { TreeNode, UnmanagedSubject } from './tree.ts';

export function registerAdoptionCommands(extension: ExtensionContext, current: CurrentEstate): void {
  const register = estateCommands(extension, current);
  const onInstance = (
    name: string,
    suits: (instance: Instance) => boolean,
    run: (estate: Estate, instance: Instance) => Promise<unknown>,
  ): void =>
    register(name, async (estate, node) => {
      const instance = (node?.subject as Instance | undefined) ?? (await pickInstance(estate, suits));
      if (instance) await run(estate, instance);
    });
  register('openWebConsole', async (estate, node) => {
    const subject =
      (node?.subject as Instance | Resource | undefined) ??
      (await pickInstance(estate, ({ status }) => status.externalReference !== undefined));
    if (subject) await openWebConsole(estate, subject);
  });
  register('release', async (estate, node) => {
    const item = (node?.subject as Released | undefined) ?? (await pickInstance(estate, isSettled));
    if (item === undefined || !(await confirmed(releaseQuestion(item)))) return;
    await requestRelease(estate.connection.client, item);
    told(`${item.name} is being released`);
  });
  onInstance('replaceInstance', isLost, replaceInstance);
  register('adopt', async (estate, node, selected) => {
    const items = (node ? selected : await pickUnmanaged(estate)).flatMap(unmanagedOf);
    await adoptItems(estate, items);
  });
  register('adoptAll', async (estate, node) => {
    if (node === undefined) return;
    await adoptItems(estate, await everything(estate, node));
  });
}

const isSettled = ({ status }: Instance): boolean => status.state === 'Running' || status.state === 'Stopped';
const isLost = ({ status }: Instance): boolean => status.state === 'Lost';

const unmanagedOf = ({ subject }: Pick<TreeNode, 'subject'>): Unmanaged[] =>
  subject?.kind === 'Unmanaged' ? [subject.item] : [];

/** The editor opens it where the window is, whatever machine this runs on. */
async function openWebConsole(estate: Estate, subject: Instance | Resource): Promise<void> {
  const { site } = subject.status;
  await estate.sites.load();
  while (estate.sites.more && site !== undefined && !estate.sites.get(site)) await estate.sites.loadMore();
  const at = site === undefined ? undefined : estate.sites.get(site);
  const page = at ? webConsole(subject, at) : { reason: 'it is at no site' };
  if (page.url === undefined) throw new Error(`${subject.name} cannot be shown: ${page.reason}.`);
  await env.openExternal(Uri.parse(page.url, true));
}

async function replaceInstance(estate: Estate, instance: Instance): Promise<void> {
  const { name, status } = instance;
  if (!isLost(instance)) throw new Error(`${name} is ${status.state}; only one that is Lost is replaced.`);
  let image: string | undefined;
  let sshKeys: string[] | undefined;
  if (status.adopted) {
    const images = estate.plain('Image');
    await images.load();
    image = await window.showQuickPick(namesOf(images), {
      placeHolder: `${name} was adopted: nobody knows what it was made from. From which image now?`,
    });
    if (image === undefined) return;
    const keys = estate.plain('SshKey', instance.project);
    await keys.load();
    sshKeys =
      keys.size === 0
        ? []
        : await window.showQuickPick(namesOf(keys), {
            placeHolder: `Who may log in to ${name}?`,
            canPickMany: true,
          });
    if (sshKeys === undefined) return;
  }
  const replacement = { ...(image ? { image } : {}), ...(sshKeys?.length ? { sshKeys } : {}) };
  // A refusal comes before the question.
  await replace(estate.connection, instance, replacement, true);
  if (!(await confirmed(replaceQuestion(instance, image)))) return;
  await replace(estate.connection, instance, replacement);
  told(`${name} is being replaced`);
}

const namesOf = (list: PagedList<Plain>): string[] => list.items().map(({ name }) => name);

/** What can be adopted at a site, chosen by the person; for the palette. */
async function pickUnmanaged(estate: Estate): Promise<{ subject: UnmanagedSubject }[]> {
  await estate.sites.load();
  const site = await window.showQuickPick(
    estate.sites.items().map(({ name }) => name),
    { placeHolder: 'At which site?' },
  );
  if (site === undefined) return [];
  const kinds = await adoptableKinds(estate.connection, site);
  const kind =
    kinds.length === 1
      ? kinds[0]
      : ((await window.showQuickPick([...kinds], { placeHolder: 'What?' })) as AdoptableKind | undefined);
  if (kind === undefined) return [];
  const items = (await readAll(estate.unmanaged(site, kind).list)).filter(isAble);
  if (items.length === 0) throw new Error(`Nothing that can be adopted is at ${site}.`);
  const picked = await window.showQuickPick(
    items.map((item) => ({
      label: item.name ?? item.externalReference,
      description: [item.power ?? item.state, item.region, item.externalReference].join(' · '),
      item,
    })),
    { placeHolder: `What of ${site} becomes Landfall’s?`, canPickMany: true, matchOnDescription: true },
  );
  return (picked ?? []).map(({ item }) => ({
    subject: { kind: 'Unmanaged', id: item.externalReference, item },
  }));
}

const isAble = ({ refused }: Unmanaged): boolean => refused === undefined;

/** Of a site's level, every kind that it adopts; of a kind's, that. */
async function everything(estate: Estate, { id }: TreeNode): Promise<Unmanaged[]> {
  const [, site = '', kind] = id.split('/');
  const kinds = kind === undefined ? await adoptableKinds(estate.connection, site) : [kind as AdoptableKind];
  const items: Unmanaged[] = [];
  for (const each of kinds) items.push(...(await readAll(estate.unmanaged(site, each).list)));
  return items;
}

/** Page after page, with a button that ends it: then nothing is answered. */
function readAll(list: PagedList<Unmanaged>): Thenable<Unmanaged[]> {
  return window.withProgress(
    { location: ProgressLocation.Notification, title: 'Landfall: asking the site', cancellable: true },
    async (_, token) => {
      await list.load();
      while (list.more && !token.isCancellationRequested) await list.loadMore();
      return token.isCancellationRequested ? [] : list.items();
    },
  );
}

/** One under a name that is asked for, more under their own; one that fails keeps no other from it. */
async function adoptItems(estate: Estate, items: readonly Unmanaged[]): Promise<void> {
  if (items.length === 0) return;
  const { connection } = estate;
  const able = items.filter(isAble);
  if (able.length === 0)
    throw new Error(
      items.length === 1
        ? `${items[0]!.externalReference} cannot be adopted: ${items[0]!.refused}.`
        : 'Nothing of it can be adopted.',
    );
  const taken = new Set(await namesIn(estate, able));
  const candidates = candidatesOf(able, (name) => taken.has(name));
  const [first] = candidates;
  if (first && candidates.length === 1) {
    const name = await window.showInputBox({
      title: `Adopt ${first.item.name ?? first.item.externalReference} into project ${connection.project}`,
      prompt: 'Its name from now on',
      value: first.name,
      validateInput: (text) =>
        taken.has(text)
          ? `There is a ${text} already.`
          : /^[a-z]([-a-z0-9]{0,61}[a-z0-9])?$/.test(text)
            ? undefined
            : 'Lower-case letters, digits and hyphens, beginning with a letter; at most 63.',
    });
    if (name === undefined) return;
    first.name = name;
  }
  let user: string | undefined;
  if (candidates.some(({ item }) => item.kind === 'Image')) {
    user = await window.showInputBox({
      title: 'Whom does one log in as on what is made from these images?',
      prompt: 'No provider says so',
      validateInput: (text) =>
        /^[a-z_][-a-z0-9_]{0,31}$/.test(text)
          ? undefined
          : 'A user of Linux: lower-case letters, digits, hyphens and underscores; at most 32.',
    });
    if (user === undefined) return;
  }
  await readPrices(connection.client, candidates);
  if (!(await confirmed(adoptionQuestion(candidates, connection.project, items.length - able.length))))
    return;
  const failures: string[] = [];
  for (const candidate of candidates) {
    const { item, name } = candidate;
    try {
      await adopt(connection, candidate, user);
      estate
        .unmanaged(item.site, item.kind as AdoptableKind)
        .list.apply(new Map([[item.externalReference, undefined]]));
    } catch (error) {
      failures.push(`${name}: ${(error as Error).message}`);
    }
  }
  const done = candidates.length - failures.length;
  if (failures.length > 0)
    throw new Error([...failures, `${done} of ${candidates.length} are adopted.`].join('\n'));
  told(`${candidates.length === 1 ? first!.name : `${done} resources`} being adopted`);
}

/** The names that the kinds of these have in the project. */
async function namesIn(estate: Estate, items: readonly Unmanaged[]): Promise<string[]> {
  const { project } = estate.connection;
  const names: string[] = [];
  const read = async <T extends { name: string }>(list: PagedList<T>): Promise<void> => {
    await list.load();
    while (list.more) await list.loadMore();
    names.push(...list.items().map(({ name }) => name));
  };
  for (const kind of new Set(items.map((item) => (item.kind === 'Image' ? 'CustomImage' : item.kind))))
    await (isResourceKind(kind) ? read(estate.resources(kind, project)) : read(estate.instances(project)));
  return names;
}
