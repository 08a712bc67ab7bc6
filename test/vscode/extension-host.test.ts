/** The extension in VS Code's extension host. */
import { readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { figures, type Probed, probeExtensionHost } from './extension-host.ts';

const manifest = JSON.parse(
  readFileSync(new URL('../../vscode-extension/package.json', import.meta.url), 'utf8'),
) as { contributes: { commands: { command: string }[] } };

let probed: Probed;

beforeAll(async () => {
  probed = await probeExtensionHost();
  process.stderr.write(`${figures(probed)}\n`);
}, 300_000);

test('it does not run before anything asks for it', () => {
  expect(probed.activeBefore).toBe(false);
});

test('every command that the manifest names is registered once it is active', () => {
  const named = manifest.contributes.commands.map(({ command }) => command);
  expect(named.length).toBeGreaterThan(20);
  expect(named.filter((command) => !probed.commands.includes(command))).toEqual([]);
});

test('in a remote window it runs beside the files, with the home and the files of that machine', () => {
  const { name, isWorkspaceExtension, folderScheme, home } = probed.remote;
  expect(name).toBeTruthy();
  expect(isWorkspaceExtension).toBe(true);
  expect(folderScheme).toBe('file');
  expect(home).not.toBe(homedir());
});

test('a policy is read by the language server, which says what is wrong with it', () => {
  expect(probed.diagnostics.join('\n')).toMatch(/Did you mean offer\.jurisdiction\?/);
});

test('activation does not wait for the language server', () => {
  expect(probed.activationMs).toBeLessThan(probed.firstDiagnosticMs);
});
