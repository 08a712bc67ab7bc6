/** The language server of Landfall's files: policies, resource files and what tests name, all YAML. */
import {
  CodeActionKind,
  CodeLensRefreshRequest,
  type Connection,
  DidChangeConfigurationNotification,
  type ServerCapabilities,
  TextDocumentSyncKind,
  TextDocuments,
} from 'vscode-languageserver';
import { TextDocument } from 'vscode-languageserver-textdocument';
import { BrokerAnswers } from './broker-answers.ts';
import { completion } from './completion.ts';
import type { LandfallFile } from './file.ts';
import { fixturesOf } from './fixtures.ts';
import { formatting } from './formatting.ts';
import { hover } from './hover.ts';
import { ALL_LENSES, Lenses } from './lenses.ts';
import { Names } from './names.ts';
import { definition, references, rename, renameable } from './navigation.ts';
import { Placements } from './placements.ts';
import {
  brokerRequest,
  estateNotification,
  explanationRequest,
  type LanguageSettings,
  rejectionsRequest,
  rulePlaceRequest,
  runTestsRequest,
  testsChangedNotification,
  testsRequest,
} from './protocol.ts';
import { DiagnosticsPublisher } from './publisher.ts';
import { quickFixes } from './quick-fixes.ts';
import { rulePlace } from './rule-places.ts';
import { ruleRejections } from './rule-rejections.ts';
import { semanticTokens, tokensLegend } from './semantic-tokens.ts';
import { signatureHelp } from './signature.ts';
import { documentSymbols } from './symbols.ts';
import { runTests, testsOf } from './tests.ts';
import { Workspace } from './workspace.ts';
import { foldingRanges } from './yaml.ts';

const capabilities: ServerCapabilities = {
  textDocumentSync: TextDocumentSyncKind.Incremental,
  completionProvider: { triggerCharacters: ['.', '"', "'", '[', ' ', ':'] },
  hoverProvider: true,
  signatureHelpProvider: { triggerCharacters: ['(', ','] },
  definitionProvider: true,
  referencesProvider: true,
  renameProvider: { prepareProvider: true },
  documentSymbolProvider: true,
  foldingRangeProvider: true,
  documentFormattingProvider: true,
  semanticTokensProvider: { legend: tokensLegend, full: true },
  codeLensProvider: {},
  codeActionProvider: { codeActionKinds: [CodeActionKind.QuickFix] },
};

/** Answers the editor over `connection` until it closes. */
export function serve(connection: Connection): void {
  const documents = new TextDocuments(TextDocument);
  const workspace = new Workspace();
  const names = new Names();
  const placements = new Placements(workspace);
  const lenses = new Lenses(placements);
  const answers = new BrokerAnswers(
    (question, token) => connection.sendRequest(brokerRequest, question, token),
    () => refreshLenses(),
  );
  let canRefreshLenses = false;
  let canConfigure = false;
  let tellsOfChanges = false;
  const refreshLenses = (): void => {
    if (!canRefreshLenses) return;
    connection
      .sendRequest(CodeLensRefreshRequest.type)
      .catch((error: Error) => connection.console.error(error.message));
  };
  const publisher = new DiagnosticsPublisher(connection, workspace, placements, (file) => {
    // A policy of one file decides over the machines of the others.
    const changed = workspace.open().filter((one) => lenses.update(one));
    if (changed.length > 0) refreshLenses();
    answers.look(file, lenses.wanted);
    void connection.sendNotification(testsChangedNotification, { uri: file.uri });
    // A file may be something that a test names from now on.
    for (const { uri, kind } of fixturesOf(file)) {
      const document = documents.get(uri);
      if (document !== undefined && workspace.file(uri)?.form !== kind) publisher.changed(document);
    }
  });

  /** The file as the editor has it now; undefined where it is none of ours. */
  const fileOf = ({ textDocument }: { textDocument: { uri: string } }): LandfallFile | undefined =>
    workspace.file(textDocument.uri);

  const configure = async (): Promise<void> => {
    if (!canConfigure) return;
    const settings = (await connection.workspace.getConfiguration(
      'landfall',
    )) as Partial<LanguageSettings> | null;
    lenses.wanted = { ...ALL_LENSES, ...settings?.lenses };
    for (const file of workspace.open()) {
      lenses.update(file);
      answers.look(file, lenses.wanted);
    }
    refreshLenses();
  };

  connection.onInitialize(({ workspaceFolders, capabilities: { workspace: client } }) => {
    canRefreshLenses = client?.codeLens?.refreshSupport === true;
    canConfigure = client?.configuration === true;
    tellsOfChanges = client?.didChangeConfiguration?.dynamicRegistration === true;
    workspace.setFolders((workspaceFolders ?? []).map(({ uri }) => uri));
    return { capabilities, serverInfo: { name: 'Landfall' } };
  });
  connection.onDidChangeWatchedFiles(({ changes }) => {
    for (const { uri } of changes) workspace.changedOnDisk(uri);
  });
  connection.onRequest(explanationRequest, ({ uri, line }) => {
    const file = workspace.anyFile(uri);
    return file === undefined
      ? { refused: 'This file is not one of Landfall’s.' }
      : placements.explain(file, line);
  });
  connection.onRequest(rejectionsRequest, async (target) => {
    const refused = `There is no sound rule ${target.policy}/${target.rule} that rejects offers: mend what is underlined first.`;
    return (await ruleRejections(target, workspace, placements)) ?? { refused };
  });
  connection.onRequest(rulePlaceRequest, (named) => rulePlace(named, workspace));
  connection.onNotification(estateNotification, (estate) => {
    names.estate = estate;
    answers.estate = estate;
    for (const file of workspace.open()) answers.look(file, lenses.wanted);
    refreshLenses();
  });
  connection.onInitialized(async () => {
    // A client tells of changed settings only when it is asked to.
    if (tellsOfChanges) await connection.client.register(DidChangeConfigurationNotification.type);
    await configure();
  });
  connection.onDidChangeConfiguration(() => configure());

  connection.onCompletion(async (params) => {
    const file = fileOf(params);
    return file === undefined ? null : completion(file, params.position, names, workspace);
  });
  connection.onHover(async (params) => {
    const file = fileOf(params);
    return file === undefined ? null : hover(file, params.position, names);
  });
  connection.onSignatureHelp((params) => {
    const file = fileOf(params);
    return file === undefined ? null : signatureHelp(file, params.position);
  });
  connection.onDefinition((params) => {
    const file = fileOf(params);
    return file === undefined ? null : definition(file, params.position, workspace);
  });
  connection.onReferences((params) => {
    const file = fileOf(params);
    if (file === undefined) return null;
    return references(file, params.position, workspace, params.context.includeDeclaration);
  });
  connection.onPrepareRename((params) => {
    const file = fileOf(params);
    return file === undefined ? null : renameable(file, params.position);
  });
  connection.onRenameRequest((params) => {
    const file = fileOf(params);
    return file === undefined ? null : rename(file, params.position, params.newName, workspace);
  });
  connection.onDocumentSymbol((params) => {
    const file = fileOf(params);
    return file === undefined ? null : documentSymbols(file);
  });
  connection.onFoldingRanges((params) => {
    const file = fileOf(params);
    return file === undefined ? null : foldingRanges(file.text.getText());
  });
  connection.onDocumentFormatting((params) => {
    const file = fileOf(params);
    return file === undefined ? null : formatting(file);
  });
  connection.languages.semanticTokens.on((params) => {
    const file = fileOf(params);
    return file === undefined ? { data: [] } : semanticTokens(file);
  });
  connection.onCodeAction((params) => {
    const file = fileOf(params);
    return file === undefined ? null : quickFixes(file, params.context.diagnostics, workspace);
  });

  connection.onCodeLens((params) => {
    const file = fileOf(params);
    return file === undefined ? null : lenses.of(file, names.connected ? answers : undefined);
  });
  connection.onRequest(testsRequest, ({ uri }) => {
    const files =
      uri === undefined ? workspace.all() : [workspace.anyFile(uri)].filter((file) => file !== undefined);
    return files.flatMap(testsOf);
  });
  connection.onRequest(runTestsRequest, ({ uri, only }) => {
    const file = workspace.anyFile(uri);
    if (file !== undefined) return runTests(file, workspace, only);
    return { outcomes: [], unrunnable: [{ uri, line: 0, message: 'There is no policy in this file.' }] };
  });

  documents.onDidChangeContent(({ document }) => {
    answers.interrupt(document.uri);
    publisher.changed(document);
  });
  documents.onDidClose(({ document }) => {
    publisher.closed(document.uri);
    lenses.forget(document.uri);
    answers.forget(document.uri);
  });
  documents.listen(connection);
  connection.listen();
}
