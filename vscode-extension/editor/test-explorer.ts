/** Policy tests in the Test Explorer: found in open and saved files, run on demand and on each save. */
import {
  type CancellationToken,
  commands,
  type ExtensionContext,
  Location,
  Position,
  Range,
  type TestController,
  type TestItem,
  TestMessage,
  TestRunProfileKind,
  TestRunRequest,
  tests,
  Uri,
  workspace,
} from 'vscode';
import type { BaseLanguageClient as LanguageClient } from 'vscode-languageclient';
import {
  type PolicyTestItem,
  type PolicyTestOutcome,
  runTestsRequest,
  type TestsTarget,
  testsRequest,
} from '../language/protocol.ts';

/** Files looked through for tests. */
const MOST_FILES = 500;

/** Registers the controller; what it finds and runs, the language server knows. */
export function registerTestExplorer(context: ExtensionContext, client: LanguageClient): void {
  const controller = tests.createTestController('landfall.policyTests', 'Landfall policies');
  const explorer = new PolicyTests(controller, client);
  const watcher = workspace.createFileSystemWatcher('**/*.{yaml,yml}');
  controller.refreshHandler = () => explorer.discover();
  const profile = controller.createRunProfile(
    'Run',
    TestRunProfileKind.Run,
    (request, token) => explorer.run(request, token),
    true,
  );
  // Continuous run is the editor's own switch: "re-run on save".
  profile.supportsContinuousRun = true;
  context.subscriptions.push(
    commands.registerCommand('landfall.runPolicyTests', (target: TestsTarget) => explorer.runTarget(target)),
    controller,
    profile,
    watcher,
    watcher.onDidCreate((uri) => explorer.read(uri)),
    watcher.onDidChange((uri) => explorer.read(uri)),
    watcher.onDidDelete((uri) => explorer.forget(uri)),
    workspace.onDidSaveTextDocument(async ({ uri, languageId }) => {
      if (languageId !== 'yaml') return;
      await explorer.read(uri);
      await explorer.runAgain(uri);
    }),
  );
  explorer.discover().catch((error: Error) => client.warn(`Policy tests were not found: ${error.message}`));
}

class PolicyTests {
  readonly #controller: TestController;
  readonly #client: LanguageClient;
  /** Requests that are to be run again with each save. */
  readonly #continuous = new Set<TestRunRequest>();
  /** What is known of the tests of each file. */
  readonly #found = new Map<string, PolicyTestItem[]>();

  constructor(controller: TestController, client: LanguageClient) {
    this.#controller = controller;
    this.#client = client;
  }

  async discover(): Promise<void> {
    const files = await workspace.findFiles('**/*.{yaml,yml}', '**/node_modules/**', MOST_FILES);
    await Promise.all(files.map((uri) => this.read(uri)));
  }

  /** Finds the tests of one file; while it has errors the last known ones stay. */
  async read(uri: Uri): Promise<void> {
    const text = await textOf(uri);
    if (!/^tests:/m.test(text)) {
      this.forget(uri);
      return;
    }
    const found = await this.#client.sendRequest(testsRequest, { uri: uri.toString() });
    if (found.length === 0) return;
    const file = this.#controller.createTestItem(uri.toString(), workspace.asRelativePath(uri), uri);
    for (const { policy, policyLine, name, line } of found) {
      const id = `${uri} ${policy}`;
      const parent = file.children.get(id) ?? this.#item(id, policy, uri, policyLine);
      file.children.add(parent);
      parent.children.add(this.#item(`${id} ${name}`, name, uri, line));
    }
    this.#controller.items.add(file);
    this.#found.set(uri.toString(), found);
  }

  forget(uri: Uri): void {
    this.#controller.items.delete(uri.toString());
    this.#found.delete(uri.toString());
  }

  /** The tests of a policy, or those of them that name a rule, run from a lens. */
  async runTarget({ uri, policy, rule }: TestsTarget): Promise<void> {
    await this.read(Uri.parse(uri));
    const id = `${uri} ${policy}`;
    const item = this.#controller.items.get(uri)?.children.get(id);
    if (item === undefined) return;
    const asked = (this.#found.get(uri) ?? [])
      .filter((test) => test.policy === policy && rule !== undefined && test.rules.includes(rule))
      .flatMap(({ name }) => item.children.get(`${id} ${name}`) ?? []);
    await this.#runOnce(new TestRunRequest(rule === undefined ? [item] : asked), undefined);
  }

  #item(id: string, label: string, uri: Uri, line: number): TestItem {
    const item = this.#controller.createTestItem(id, label, uri);
    const position = new Position(line, 0);
    item.range = new Range(position, position);
    return item;
  }

  async run(request: TestRunRequest, token: CancellationToken): Promise<void> {
    if (request.continuous === true) {
      this.#continuous.add(request);
      token.onCancellationRequested(() => this.#continuous.delete(request));
    }
    await this.#runOnce(request, token);
  }

  /** The tests of a file that was saved, and those that name it, for every continuous run they are part of. */
  async runAgain(saved: Uri): Promise<void> {
    const naming = [...this.#found].filter(([, found]) =>
      found.some(({ fixtures }) => fixtures.includes(saved.toString())),
    );
    for (const uri of new Set([saved.toString(), ...naming.map(([uri]) => uri)]))
      await this.#runFile(Uri.parse(uri));
  }

  async #runFile(uri: Uri): Promise<void> {
    const file = this.#controller.items.get(uri.toString());
    if (file === undefined) return;
    for (const { profile, exclude, include } of this.#continuous) {
      const concerned =
        include === undefined || include.some((item) => item.uri?.toString() === uri.toString());
      if (concerned) await this.#runOnce(new TestRunRequest([file], exclude, profile), undefined);
    }
  }

  async #runOnce(request: TestRunRequest, token: CancellationToken | undefined): Promise<void> {
    const run = this.#controller.createTestRun(request);
    const roots = request.include ?? [...this.#controller.items].map(([, item]) => item);
    const excluded = new Set(request.exclude);
    const leaves = roots.flatMap((root) => leavesOf(root, excluded));
    const byFile = Map.groupBy(leaves, ({ uri }) => uri!.toString());
    for (const [file, items] of byFile) {
      if (token?.isCancellationRequested) break;
      for (const item of items) run.started(item);
      const uri = Uri.parse(file);
      const { outcomes, unrunnable } = await this.#client.sendRequest(runTestsRequest, { uri: file });
      for (const item of items) {
        const outcome = outcomes.find(({ policy, name }) => item.id === `${file} ${policy} ${name}`);
        if (outcome?.passed) run.passed(item, outcome.durationMs);
        else if (outcome !== undefined) run.failed(item, failure(outcome, uri), outcome.durationMs);
        else if (unrunnable.length > 0)
          run.errored(
            item,
            unrunnable.map(({ line, message }) => messageAt(new TestMessage(message), uri, line)),
          );
        else run.skipped(item);
      }
    }
    run.end();
  }
}

function leavesOf(item: TestItem, excluded: ReadonlySet<TestItem>): TestItem[] {
  if (excluded.has(item)) return [];
  if (item.children.size === 0) return [item];
  return [...item.children].flatMap(([, child]) => leavesOf(child, excluded));
}

/** What was expected beside what came, where the editor shows the difference. */
function failure({ message, expected, actual, line }: PolicyTestOutcome, uri: Uri): TestMessage {
  return messageAt(TestMessage.diff(message, expected, actual), uri, line);
}

function messageAt(said: TestMessage, uri: Uri, line: number): TestMessage {
  said.location = new Location(uri, new Position(line, 0));
  return said;
}

/** As it is on the screen, else as it is saved. */
async function textOf(uri: Uri): Promise<string> {
  const open = workspace.textDocuments.find((document) => document.uri.toString() === uri.toString());
  return open?.getText() ?? new TextDecoder().decode(await workspace.fs.readFile(uri));
}
