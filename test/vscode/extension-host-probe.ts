/**
 * Runs in VS Code's extension host, beside the extension: starts it, opens a policy, and writes what that took into the folder
 * that is open. It judges nothing: `extension-host.ts` reads it, for the test and the benchmark.
 */
import { writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import {
  commands,
  ExtensionKind,
  env,
  extensions,
  type LanguageModelTextPart,
  languages,
  lm,
  Uri,
  window,
  workspace,
} from 'vscode';
import type { Probed } from './extension-host.ts';

const megabytes = (bytes: number): number => bytes / 2 ** 20;

function memory(): Probed['memory']['before'] {
  // With `--expose-gc` garbage would not count; the editor starts its host without.
  const { heapUsed, rss } = process.memoryUsage();
  return { heapMb: megabytes(heapUsed), residentMb: megabytes(rss) };
}

async function until(what: string, so: () => boolean): Promise<void> {
  const deadline = Date.now() + 60_000;
  while (!so()) {
    if (Date.now() > deadline) throw new Error(`${what}: not so after 60 s`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

/** Uses the tools as a language model would, where there is a broker. With a probe the editor says yes to every question by itself. */
async function useTools(): Promise<Probed['tools']> {
  if (process.env.LANDFALL_DATA_DIR === undefined) return undefined;
  const use = async (name: string, input: object): Promise<string> => {
    const { content } = await lm.invokeTool(name, { input, toolInvocationToken: undefined });
    return content.map((part) => (part as LanguageModelTextPart).value).join('');
  };
  const names = lm.tools.map(({ name }) => name).filter((name) => name.startsWith('landfall_'));
  const list = await use('landfall_listInstances', {});
  return { names, list, changed: await use('landfall_changePower', { verb: 'stop', name: 'web' }) };
}

/** Called by the editor. */
export async function run(): Promise<void> {
  const extension = extensions.getExtension('landfall.landfall-vscode');
  if (extension === undefined) throw new Error('The extension is not there.');
  const activeBefore = extension.isActive;
  const before = memory();
  const [started, used] = [performance.now(), process.cpuUsage()];
  await extension.activate();
  const activationMs = performance.now() - started;
  const { user, system } = process.cpuUsage(used);
  const activated = memory();
  const [folder] = workspace.workspaceFolders!;
  const uri = Uri.joinPath(folder!.uri, 'policy.txt');
  const opening = performance.now();
  // A file of another ending, so that no one asks for the extension before.
  const { document } = await window.showTextDocument(uri);
  await languages.setTextDocumentLanguage(document, 'yaml');
  await until('a diagnostic', () => languages.getDiagnostics(uri).length > 0);
  const firstDiagnosticMs = performance.now() - opening;
  const probed: Probed = {
    activeBefore,
    activationMs,
    activationCpuMs: (user + system) / 1_000,
    firstDiagnosticMs,
    remote: {
      name: env.remoteName,
      isWorkspaceExtension: extension.extensionKind === ExtensionKind.Workspace,
      folderScheme: folder!.uri.scheme,
      home: homedir(),
    },
    commands: (await commands.getCommands(true)).filter((name) => name.startsWith('landfall.')),
    diagnostics: languages.getDiagnostics(uri).map(({ message }) => message),
    memory: { before, activated, used: memory() },
    tools: await useTools(),
  };
  writeFileSync(join(folder!.uri.fsPath, 'probed.json'), JSON.stringify(probed));
}
