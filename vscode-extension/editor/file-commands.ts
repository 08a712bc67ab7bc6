/** `Plan`, `Apply`, `Delete` and `Compare with Live`: what a file says, done at the connected broker after a question. */
import { dirname, relative } from 'node:path';
import { applyOne, type Manifest, manifestSubject, parseManifests, positionIn } from 'landfall/client.ts';
import {
  commands,
  type ExtensionContext,
  ProgressLocation,
  type TextDocument,
  Uri,
  window,
  workspace,
} from 'vscode';
import type { Question } from '../estate/actions.ts';
import type { CurrentEstate } from '../estate/activate.ts';
import { hasShell } from '../estate/command-line.ts';
import type { Estate } from '../estate/estate.ts';
import { yamlInFront } from '../estate/yaml-in-front.ts';
import { deleteAll, deletionQuestion, findGoing } from '../files/deletion.ts';
import { compareWithLive } from '../files/live.ts';
import { applyQuestion, changesAnything, planFile, planText, type Step } from '../files/plan.ts';
import { endLines, type Followed, failureOf, followOperations } from '../files/progress.ts';
import { sessionOver } from '../files/session.ts';
import type { DocumentTarget } from '../language/protocol.ts';
import type { BrokerProblems } from './broker-problems.ts';
import { lineLink } from './panel.ts';
import type { Reports } from './reports.ts';
import { ruleLinks } from './rule-links.ts';

/** What a command is about: a file of the explorer, one document of it by a lens, else the file that is open. */
export type Asked = Uri | DocumentTarget | undefined;

/** The documents asked about. */
export interface AskedFile {
  document: TextDocument;
  /** Its name in the workspace. */
  file: string;
  /** What is asked about, in words: the file, or one document of it. */
  what: string;
  manifests: Manifest[];
}

export function registerFileCommands(
  context: ExtensionContext,
  current: CurrentEstate,
  reports: Reports,
  problems: BrokerProblems,
): void {
  const register = (name: string, run: (estate: Estate, asked: AskedFile) => Promise<unknown>): void => {
    context.subscriptions.push(
      commands.registerCommand(`landfall.${name}`, async (asked?: Asked) => {
        const { estate } = current;
        if (estate === undefined) return commands.executeCommand('landfall.switchContext');
        try {
          const file = await readAsked(asked);
          if (file === undefined)
            return void window.showInformationMessage('Landfall: open a resource file first.');
          problems.clear(file.document);
          return await run(estate, file);
        } catch (error) {
          void window.showErrorMessage(`Landfall: ${(error as Error).message}`);
        }
      }),
    );
  };
  const planned = async (estate: Estate, { document, what, manifests }: AskedFile): Promise<Step[]> => {
    const steps = await window.withProgress(
      { location: ProgressLocation.Window, title: `Landfall: plan of ${what}` },
      () => planFile(estate.connection, sessionFor(estate), manifests),
    );
    for (const { manifest, error } of steps) if (error) problems.add(document, manifest, error);
    return steps;
  };
  register('planFile', async (estate, asked) => {
    const { what, document } = asked;
    const steps = await planned(estate, asked);
    const subjects = steps.map(({ manifest }): [string, string] => [
      manifestSubject(manifest),
      lineLink(document.uri.toString(), positionIn(manifest, '/name').line),
    ]);
    const rules = steps.flatMap(({ manifest, outcome }) => [
      ...ruleLinks(outcome?.decision?.rules ?? [], { subject: manifestSubject(manifest), atBroker: true }),
    ]);
    await reports.show(
      `plan of ${what.replaceAll('/', ' ')}.txt`,
      planText(what, estate.connection, steps),
      new Map([...rules, ...subjects]),
    );
  });
  register('applyFile', async (estate, asked) => {
    const { document, what } = asked;
    const steps = await planned(estate, asked);
    const refused = steps.filter(({ error }) => error !== undefined);
    if (refused.length > 0)
      throw new Error(
        refused.map(({ manifest, error }) => `${manifestSubject(manifest)}: ${error!.message}`).join('\n'),
      );
    if (!changesAnything(steps))
      return void window.showInformationMessage(
        `Landfall: ${what} is as it is at ${estate.connection.context.name}.`,
      );
    if (!(await confirmed(applyQuestion(what, estate.connection, steps)))) return;
    const session = sessionFor(estate);
    await inProgress(`applying ${what}`, async (say, stop) => {
      const done = new Map<string, string>();
      const failed: string[] = [];
      const followed: Followed[] = [];
      for (const { manifest } of steps) {
        const subject = manifestSubject(manifest);
        if (stop.aborted) {
          failed.push(`${subject}: stopped before it was asked for`);
          continue;
        }
        say(subject);
        try {
          const { action, operation } = await applyOne(session, manifest, {
            dryRun: false,
            defaultKey: hasShell,
          });
          if (action !== 'unchanged') done.set(subject, action);
          if (operation) followed.push({ subject, operation, broker: session.brokerFor(manifest.project) });
        } catch (error) {
          problems.add(document, manifest, error as Error);
          failed.push(`${subject}: ${(error as Error).message}`);
        }
      }
      const ends = await followOperations(followed, say, stop);
      const made = steps.find(({ manifest }) =>
        ends.some(({ subject }) => manifest.kind === 'Instance' && subject === manifestSubject(manifest)),
      );
      const target = made && {
        uri: document.uri.toString(),
        line: made.manifest.source.linesBefore,
        name: made.manifest.name,
      };
      tellEnd(done, failed, ends, target);
    });
  });
  register('deleteFile', async (estate, { file, what, manifests }) => {
    const going = await findGoing(sessionFor(estate), manifests);
    if (going.length === 0)
      return void window.showInformationMessage(
        `Landfall: nothing of ${what} is at ${estate.connection.context.name}.`,
      );
    if (
      !(await confirmed(
        deletionQuestion(what === file ? `what ${file} names` : what, estate.connection, going),
      ))
    )
      return;
    await inProgress(`deleting ${what}`, async (say, stop) => {
      const open = await deleteAll(going, say, stop);
      const ends = await followOperations(open, say, stop);
      tellEnd(
        new Map(going.map(({ target: { kind, name } }) => [`${kind.singular}/${name}`, 'deleted'])),
        [],
        ends,
      );
    });
  });
  register('compareWithLive', async (estate, { document, file, manifests }) => {
    const editor = yamlInFront();
    const line = editor?.document === document ? editor.selection.active.line : 0;
    const manifest = manifestAt(manifests, line);
    const subject = manifestSubject(manifest);
    const { name } = estate.connection.context;
    const { live, own, asWritten } = await compareWithLive(
      sessionFor(estate).brokerFor(manifest.project),
      manifest,
    );
    if (live === undefined)
      return void window.showInformationMessage(`Landfall: there is no ${subject} at ${name}.`);
    if (live === own)
      return void window.showInformationMessage(`Landfall: ${subject} is at ${name} as the file says.`);
    // The whole file stands on both sides, so that one document of several can be edited where it is compared.
    const text = document.getText();
    const start = text.indexOf(manifest.source.text);
    const whole = (part: string): string =>
      text.slice(0, start) + part + text.slice(start + manifest.source.text.length);
    const title = subject.replace('/', ' ');
    await commands.executeCommand(
      'vscode.diff',
      reports.put(`${title} at ${name}.yaml`, whole(live)),
      asWritten ? document.uri : reports.put(`${title} in the file.yaml`, whole(own)),
      `${subject}: ${name} ↔ ${file}`,
    );
  });
}

const sessionFor = ({ connection }: Estate) =>
  sessionOver(connection, (text) => void window.showInformationMessage(`Landfall: ${text}`));

/** Shows that it goes on; the button of it stops the waiting. */
function inProgress(
  title: string,
  run: (say: (line: string) => void, stop: AbortSignal) => Promise<void>,
): Thenable<void> {
  return window.withProgress(
    { location: ProgressLocation.Notification, title: `Landfall: ${title}`, cancellable: true },
    (progress, token) => {
      const stop = new AbortController();
      token.onCancellationRequested(() => stop.abort());
      return run((message) => progress.report({ message }), stop.signal);
    },
  );
}

/** Says how it ended, with ways to see more. `target`: an instance of the file that can be explained. */
function tellEnd(
  done: ReadonlyMap<string, string>,
  failed: readonly string[],
  ends: readonly Followed[],
  target?: DocumentTarget,
): void {
  const { failures, lines } = endLines(done, failed, ends);
  const show = 'Show Operation';
  const explain = 'Explain';
  const buttons = [...(ends.length > 0 ? [show] : []), ...(target ? [explain] : [])];
  const tell = failures.length > 0 ? window.showErrorMessage : window.showInformationMessage;
  // Not waited for: the progress would stand as long as the message.
  void tell(`Landfall: ${lines.join('\n')}`, ...buttons).then((picked) => {
    const [only] = ends.length === 1 ? ends : ends.filter((each) => failureOf(each) !== undefined);
    if (picked === show)
      void commands.executeCommand('landfall.showTimeline', only && { subject: only.operation });
    if (picked === explain) void commands.executeCommand('landfall.explainPlacement', target);
  });
}

async function confirmed({ message, detail, button }: Question): Promise<boolean> {
  return (await window.showWarningMessage(message, { modal: true, detail }, button)) === button;
}

/** Reads what is asked about as the editor has it. Throws where it is no sound file of resources. */
export async function readAsked(asked: Asked): Promise<AskedFile | undefined> {
  const isTarget = asked !== undefined && 'line' in asked;
  const uri = isTarget ? Uri.parse(asked.uri) : asked instanceof Uri ? asked : undefined;
  const document = uri ? await workspace.openTextDocument(uri) : yamlInFront()?.document;
  if (document === undefined || document.languageId !== 'yaml') return undefined;
  // Not of an address by its path on disk: a browser on Windows would write that with backslashes.
  const pathOf = ({ scheme, path, fsPath }: Uri): string => (scheme === 'file' ? fsPath : path);
  const of = workspace.getWorkspaceFolder(document.uri)?.uri;
  const folder = of ? pathOf(of) : document.uri.scheme === 'file' ? dirname(document.uri.fsPath) : '.';
  const file = document.isUntitled ? `<${document.fileName}>` : relative(folder, pathOf(document.uri));
  const all = parseManifests({ file, text: document.getText() }, folder);
  if (all.length === 0) return undefined;
  if (!isTarget) return { document, file, what: file, manifests: all };
  const manifest = manifestAt(all, asked.line);
  return { document, file, what: `${manifestSubject(manifest)} of ${file}`, manifests: [manifest] };
}

/** The document at a line, from 0. */
export function manifestAt(manifests: readonly Manifest[], line: number): Manifest {
  return manifests.findLast(({ source }) => source.linesBefore <= line) ?? manifests[0]!;
}
