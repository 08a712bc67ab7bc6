/** Commands about single things of the estate: from a tree's menu, or from the palette, which asks for the instance. */
import type { Instance, Operation, Schemas } from '@landfall/model';
import {
  commands,
  type ExtensionContext,
  env,
  ProgressLocation,
  type QuickPickItem,
  type Uri,
  window,
} from 'vscode';
import { localToken } from '../broker/contexts.ts';
import {
  type Attachable,
  acknowledge,
  approve,
  cancel,
  change,
  checkCompliance,
  type Deletable,
  deletionQuestion,
  detachQuestion,
  growQuestion,
  type PowerVerb,
  planSize,
  power,
  powerQuestion,
  priceWords,
  reject,
  remove,
  resize,
  resizeQuestion,
  type Size,
  sizeWords,
  usualSizes,
} from './actions.ts';
import type { CurrentEstate } from './activate.ts';
import { confirmed, estateCommands, told } from './command.ts';
import { cliCommand, runInTerminal } from './command-line.ts';
import type { EstateDocuments } from './document-provider.ts';
import type { Estate } from './estate.ts';
import type { Resource } from './kinds.ts';
import type { Subject, TreeNode } from './tree.ts';

export function registerInstanceCommands(
  extension: ExtensionContext,
  current: CurrentEstate,
  documents: EstateDocuments,
): void {
  const register = estateCommands(extension, current);
  /** On the node's subject; from the palette on an instance that is picked. */
  const onInstance = (
    name: string,
    run: (estate: Estate, instance: Instance) => Promise<unknown>,
    suits?: (instance: Instance) => boolean,
  ): void =>
    register(name, async (estate, node) => {
      const instance = (node?.subject as Instance | undefined) ?? (await pickInstance(estate, suits));
      if (instance) await run(estate, instance);
    });
  const onSubject = <T extends Subject>(
    name: string,
    run: (estate: Estate, subject: T) => Promise<unknown>,
  ): void =>
    register(name, async (estate, node) => {
      const subject = node?.subject ?? (await pickInstance(estate));
      if (subject) await run(estate, subject as T);
    });

  register('loadMore', async (_, node) => node?.more?.());
  register('loadAll', (estate, node) => loadAll(estate, node));
  for (const verb of ['start', 'stop', 'reboot'] as const)
    onInstance(
      `${verb}Instance`,
      (estate, instance) => changePower(estate, verb, instance),
      ({ status }) => status.state === (verb === 'start' ? 'Stopped' : 'Running'),
    );
  onInstance('resizeInstance', changeSize);
  register('attach', async (estate, node) => {
    const subject = node?.subject as Attachable | undefined;
    if (subject === undefined) return;
    const { name, project, status } = subject;
    const instance = await pickInstance(
      estate,
      (each) => status.site === undefined || each.status.site === status.site,
      project,
    );
    if (instance === undefined) return;
    await change(estate.connection, subject, { attachedTo: instance.name });
    told(`${name} is being attached to ${instance.name}`);
  });
  register('detach', async (estate, node) => {
    const subject = node?.subject as Attachable | undefined;
    if (subject === undefined || !(await confirmed(detachQuestion(subject)))) return;
    await change(estate.connection, subject, { attachedTo: null });
    told(`${subject.name} is being detached`);
  });
  register('growVolume', async (estate, node) => {
    const volume = node?.subject as Schemas['Volume'] | undefined;
    if (volume) await grow(estate, volume);
  });
  onSubject<Deletable>('delete', async (estate, subject) => {
    if (!(await confirmed(deletionQuestion(subject)))) return;
    const operation = await remove(estate.connection, subject);
    told(operation ? `${subject.name} is being deleted` : `${subject.name} is deleted`);
  });
  onInstance(
    'ssh',
    async (estate, instance) => openSsh(estate, instance),
    ({ status }) => status.ssh !== undefined,
  );
  onInstance('showConsole', (_, instance) => documents.open('console', instance));
  onSubject('showEvents', (_, subject) => documents.open('events', subject));
  onSubject('showYaml', (_, subject) => documents.open('yaml', subject));
  register('showTimeline', async (estate, node) => {
    const operation = (node?.subject as Operation | undefined) ?? (await pickOperation(estate));
    if (operation) await documents.open('timeline', operation);
  });
  onSubject('copyId', async (_, { id }) => env.clipboard.writeText(id));
  onSubject<Instance | Resource>('copyAddress', async (_, subject) => {
    const address = addressOf(subject);
    if (address) await env.clipboard.writeText(address);
  });
  register('cancelOperation', async (estate, node) => {
    const operation = node?.subject as Operation | undefined;
    if (operation === undefined) return;
    const question = {
      message: `Cancel ${operation.verb} ${operation.resource?.name ?? ''}?`,
      detail: 'What it has made so far is removed again.',
      button: 'Cancel Operation',
    };
    if (await confirmed(question)) await cancel(estate.connection, operation);
  });
  register('approve', (estate, node) => decide(estate, node?.subject as Schemas['Approval'], true));
  register('reject', (estate, node) => decide(estate, node?.subject as Schemas['Approval'], false));
  register('acknowledge', async (estate, node) => {
    const violation = node?.subject as Schemas['Violation'] | undefined;
    if (violation === undefined) return;
    const reason = await askReason(
      `${violation.resource.name} against ${violation.policy}/${violation.rule}`,
      'What is done about it?',
      true,
    );
    if (reason !== undefined) await acknowledge(estate.connection, violation, reason);
  });
  register('checkCompliance', async (estate) => {
    await checkCompliance(estate.connection);
    told('Every machine is held against the policies in force');
  });
  extension.subscriptions.push(
    commands.registerCommand('landfall.refreshDocument', (uri?: Uri) => {
      const shown = uri ?? window.activeTextEditor?.document.uri;
      if (shown?.scheme === 'landfall') documents.refresh(shown);
    }),
  );
}

async function changePower(estate: Estate, verb: PowerVerb, instance: Instance): Promise<void> {
  if (!(await confirmed(powerQuestion(verb, instance)))) return;
  await power(estate.connection, verb, instance);
  told(`${verb} ${instance.name} was asked for`);
}

async function changeSize(estate: Estate, instance: Instance): Promise<void> {
  const { spec } = instance;
  const now = { vcpus: spec.vcpus, memoryGiB: spec.memoryGiB };
  type Item = QuickPickItem & { size?: Size };
  const items: Item[] = [
    { label: 'Another size…', alwaysShow: true },
    ...usualSizes.map((size) => ({
      label: sizeWords(size),
      description: size.vcpus === now.vcpus && size.memoryGiB === now.memoryGiB ? 'now' : undefined,
      size,
    })),
  ];
  const picked = await window.showQuickPick(items, {
    placeHolder: `${instance.name} has ${sizeWords(now)}${priceWords(instance.status) ? ` for ${priceWords(instance.status)}` : ''}. Which size?`,
  });
  if (picked === undefined) return;
  const size = picked.size ?? (await askSize(now));
  if (size === undefined) return;
  const plan = await window.withProgress(
    { location: ProgressLocation.Notification, title: `Landfall: what ${sizeWords(size)} would cost` },
    () => planSize(estate.connection, instance, size),
  );
  if (plan?.outcome === 'unplaceable')
    throw new Error(
      `${instance.name} cannot be ${sizeWords(size)} where it stands: ${plan.reasons.join(' ')}`,
    );
  if (!(await confirmed(resizeQuestion(instance, size, plan)))) return;
  await resize(estate.connection, instance, size);
  told(`resize ${instance.name} was asked for`);
}

async function askSize(now: Size): Promise<Size | undefined> {
  const text = await window.showInputBox({
    prompt: 'vCPUs, GiB of memory, and GiB of disk if that is to grow',
    value: `${now.vcpus} ${now.memoryGiB}`,
    validateInput: (given) => (parseSize(given) ? undefined : 'Two or three numbers, such as: 2 4 20'),
  });
  return text === undefined ? undefined : parseSize(text);
}

function parseSize(text: string): Size | undefined {
  const match = /^\s*([1-9]\d{0,3})[\s,]+(\d+(?:\.\d+)?)(?:[\s,]+([1-9]\d{0,4}))?\s*$/.exec(text);
  if (!match || Number(match[2]) <= 0) return undefined;
  const size: Size = { vcpus: Number(match[1]), memoryGiB: Number(match[2]) };
  return match[3] === undefined ? size : { ...size, diskGiB: Number(match[3]) };
}

async function grow(estate: Estate, volume: Schemas['Volume']): Promise<void> {
  const now = volume.status.sizeGiB ?? volume.spec.sizeGiB ?? 0;
  const text = await window.showInputBox({
    title: `Grow ${volume.name}`,
    prompt: 'GiB from now on',
    value: String(now * 2),
    validateInput: (given) =>
      /^[1-9]\d{0,4}$/.test(given) && Number(given) > now ? undefined : `A whole number over ${now}.`,
  });
  if (text === undefined || !(await confirmed(growQuestion(volume, Number(text))))) return;
  await change(estate.connection, volume, { sizeGiB: Number(text) });
  told(`${volume.name} is being grown`);
}

async function decide(
  estate: Estate,
  approval: Schemas['Approval'] | undefined,
  yes: boolean,
): Promise<void> {
  if (approval === undefined) return;
  const about = `${approval.resource.name}: ${approval.policy}/${approval.rule}, ${priceWords(approval.offer)}`;
  const reason = await askReason(
    about,
    yes ? 'Approve. Why? (may be empty)' : 'Reject. Why? Who asked is told.',
    !yes,
  );
  if (reason === undefined) return;
  if (yes) await approve(estate.connection, approval, reason || undefined);
  else await reject(estate.connection, approval, reason);
}

function askReason(title: string, prompt: string, needed: boolean): Thenable<string | undefined> {
  return window.showInputBox({
    title,
    prompt,
    ignoreFocusOut: true,
    validateInput: (text) => (needed && text.trim() === '' ? 'A reason is needed.' : undefined),
  });
}

/** An instance of a project, the current one unless another is named, chosen by the person. */
export async function pickInstance(
  estate: Estate,
  suits: (instance: Instance) => boolean = () => true,
  project = estate.connection.context.project,
): Promise<Instance | undefined> {
  const list = estate.instances(project);
  await list.load();
  while (list.more) await list.loadMore();
  const suitable = list.items().filter(suits);
  if (suitable.length === 0)
    throw new Error(
      list.size === 0
        ? `there is no instance in ${project}.`
        : `no instance of ${project} is in a state for it.`,
    );
  const picked = await window.showQuickPick(
    suitable.map((instance) => ({ label: instance.name, description: instance.status.state, instance })),
    { placeHolder: `Which instance of ${project}?`, matchOnDescription: true },
  );
  return picked?.instance;
}

async function pickOperation(estate: Estate): Promise<Operation | undefined> {
  await estate.operations.load();
  const picked = await window.showQuickPick(
    estate.operations.items().map((operation) => ({
      label: `${operation.verb} ${operation.resource?.name ?? ''}`,
      description: operation.state,
      detail: operation.createdAt,
      operation,
    })),
    { placeHolder: 'Which operation?' },
  );
  return picked?.operation;
}

/** Page after page, with a button that ends it. */
async function loadAll(estate: Estate, node: TreeNode | undefined): Promise<void> {
  const more = node?.more;
  if (more === undefined) return;
  await window.withProgress(
    { location: ProgressLocation.Notification, title: 'Landfall: loading', cancellable: true },
    async (progress, token) => {
      while (!token.isCancellationRequested && !estate.connection.closed.aborted && (await more()))
        progress.report({});
    },
  );
}

function addressOf(subject: Instance | Resource): string | undefined {
  if (subject.kind === 'Address') return subject.status.address;
  if (subject.kind !== 'Instance') return undefined;
  const { addresses = [] } = subject.status;
  return (addresses.find(({ type }) => type === 'external') ?? addresses[0])?.address;
}

/** `landfall ssh` where there is one, for its keys and host identities; else the system's ssh. */
function openSsh(estate: Estate, { name, project, status }: Instance): void {
  const { ssh } = status;
  if (ssh === undefined) throw new Error(`${name} cannot be reached by SSH: it is ${status.state}.`);
  // They are written into a shell.
  for (const word of [name, ssh.user, ssh.host])
    if (!/^[A-Za-z0-9_][A-Za-z0-9_.:-]*$/.test(word))
      throw new Error(`${JSON.stringify(word)} is no name for SSH.`);
  const { url, dataFolder } = estate.connection.context;
  const cli = cliCommand();
  const token = dataFolder && localToken(dataFolder);
  // The command line must ask this very broker, whichever its own context is. A token of the secret storage stays there.
  const known = cli !== undefined && token !== undefined && token !== '';
  const environment = { LANDFALL_URL: url, LANDFALL_PROJECT: project, LANDFALL_TOKEN: token };
  runInTerminal(
    { name: `ssh ${name}`, env: known ? environment : {} },
    known ? `${cli} ssh ${name}` : `ssh -p ${Number(ssh.port)} ${ssh.user}@${ssh.host}`,
  );
}
