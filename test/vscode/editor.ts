/** One VS Code with the packed extension, open on a folder, in a browser: what the end-to-end tests of the extension drive. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Browser, chromium as browserType, type Locator, type Page } from 'playwright-core';
import { chromium, codeServer } from './code-server.ts';

const repository = join(import.meta.dirname, '../..');

/** How an editor is opened. */
export interface EditorOptions {
  /** The files of the folder, by their names. */
  files: Record<string, string>;
  /** Besides those that keep the editor quiet. */
  settings?: Record<string, unknown>;
  /** Of the editor's process, and so of the extension and the terminals. */
  env?: NodeJS.ProcessEnv;
  /** A CommonJS module whose `run` the extension host calls, as VS Code's own extension tests do. */
  probe?: { module: string; said: (line: string) => void; ended: (code: number) => void };
}

/** Settings of a user who wants no greetings. */
const quiet = {
  'chat.disableAIFeatures': true,
  'extensions.autoCheckUpdates': false,
  'workbench.startupEditor': 'none',
  'telemetry.telemetryLevel': 'off',
  'security.workspace.trust.enabled': false,
  'files.autoSave': 'off',
  'workbench.secondarySideBar.defaultVisibility': 'hidden',
  // Whatever listens on this machine is not the tests' business.
  'remote.autoForwardPorts': false,
};

/** Packs the extension into a folder of its own, since other tests may do so at the same time. */
async function packExtension(folder: string): Promise<string> {
  const args = ['build.ts', '--package', '--into', folder];
  await run(process.execPath, args, join(repository, 'vscode-extension'));
  return join(folder, 'dist/landfall.vsix');
}

/** A running editor. `close` ends all that it started. */
export class Editor {
  readonly page: Page;
  /** The folder that is open. */
  readonly folder: string;
  readonly #root: string;
  readonly #server: ChildProcess;
  readonly #browser: Browser;

  private constructor(root: string, server: ChildProcess, browser: Browser, page: Page) {
    this.#root = root;
    this.folder = join(root, 'work');
    this.#server = server;
    this.#browser = browser;
    this.page = page;
  }

  /** Packs the extension, installs it into a new VS Code, starts it and opens a folder of these files. */
  static async open({ files, settings = {}, env = {}, probe }: EditorOptions): Promise<Editor> {
    const entry = await codeServer((line) => process.stderr.write(`${line}\n`));
    const root = mkdtempSync(join(tmpdir(), 'landfall-vscode-'));
    const user = join(root, 'user');
    const work = join(root, 'work');
    mkdirSync(join(user, 'User'), { recursive: true });
    writeFileSync(join(user, 'User/settings.json'), JSON.stringify({ ...quiet, ...settings }));
    for (const [name, text] of Object.entries(files)) {
      mkdirSync(join(work, name, '..'), { recursive: true });
      writeFileSync(join(work, name), text);
    }
    const folders = ['--user-data-dir', user, '--extensions-dir', join(root, 'extensions')];
    // Its own configuration and home: nothing of the person who runs the tests is read or written.
    const own = { ...process.env, XDG_CONFIG_HOME: join(root, 'config'), HOME: root, ...env };
    const vsix = await packExtension(join(root, 'packed'));
    // Besides a probe it runs from its folder, as one that is being developed.
    if (probe === undefined)
      await run(process.execPath, [entry, ...folders, '--install-extension', vsix], root, own);
    const port = await freePort();
    const quietly = ['--disable-telemetry', '--disable-update-check', '--disable-workspace-trust'];
    if (probe !== undefined) quietly.push('--vscode-option', 'enable-smoke-test-driver');
    const server = spawn(
      process.execPath,
      [entry, '--bind-addr', `127.0.0.1:${port}`, '--auth', 'none', ...quietly, ...folders, work],
      { stdio: ['ignore', 'pipe', 'pipe'], env: own, detached: true },
    );
    let log = '';
    for (const stream of [server.stdout, server.stderr])
      stream.on('data', (chunk) => {
        log = `${log}${chunk}`.slice(-10_000);
      });
    let browser: Browser | undefined;
    try {
      await ready(`http://127.0.0.1:${port}/healthz`, () => log);
      browser = await browserType.launch({
        executablePath: chromium(),
        args: [
          '--no-sandbox',
          '--disable-gpu',
          '--disable-quic',
          '--disable-background-networking',
          '--disable-sync',
        ],
      });
      const page = await browser.newPage({ viewport: { width: 1440, height: 900 } });
      page.setDefaultTimeout(30_000);
      const remote = (path: string): string => `vscode-remote://127.0.0.1:${port}${path}`;
      const query = new URLSearchParams({ folder: work });
      if (probe !== undefined) {
        await page.exposeFunction('codeAutomationLog', (_: string, said: unknown[]) =>
          probe.said(said.join(' ')),
        );
        await page.exposeFunction('codeAutomationExit', (code: number) => probe.ended(code));
        query.set(
          'payload',
          JSON.stringify([
            ['extensionDevelopmentPath', remote(join(root, 'packed'))],
            ['extensionTestsPath', remote(probe.module)],
          ]),
        );
      }
      await page.goto(`http://127.0.0.1:${port}/?${query}`);
      await page.locator('.monaco-workbench').waitFor({ state: 'attached' });
      await page.locator('.explorer-folders-view .monaco-list-row').first().waitFor({ state: 'attached' });
      return new Editor(root, server, browser, page);
    } catch (error) {
      await browser?.close();
      end(server);
      rmSync(root, { recursive: true, force: true });
      throw error;
    }
  }

  /**
   * The input that a key opens. The key is pressed again while nothing opens: one that comes as a panel's frame gives up the
   * focus, or as a file is just being shown, goes nowhere.
   */
  async quickInput(key: string): Promise<Locator> {
    const input = this.page.locator('.quick-input-widget input.input');
    const until = Date.now() + 30_000;
    for (;;) {
      await this.page.keyboard.press(key);
      try {
        await input.waitFor({ state: 'visible', timeout: 3_000 });
        return input;
      } catch (error) {
        if (Date.now() > until) throw error;
      }
    }
  }

  /** Runs a command of the palette by its title. */
  async command(title: string): Promise<void> {
    const input = await this.quickInput('F1');
    await input.fill(`>${title}`);
    await this.page.locator('.quick-input-list .monaco-list-row', { hasText: title }).first().waitFor();
    await this.page.keyboard.press('Enter');
  }

  /** Opens a file of the folder and waits until it can be typed into. */
  async openFile(name: string): Promise<void> {
    const input = await this.quickInput('Control+P');
    await input.fill(name);
    await this.page
      .locator('.quick-input-list .monaco-list-row', { hasText: name.split('/').at(-1)! })
      .first()
      .click();
    await this.page
      .locator(`.tab.active[data-resource-name="${name.split('/').at(-1)}"]`)
      .waitFor({ state: 'attached' });
    // Not by a click: beside another editor the middle of this one may be under its minimap.
    await this.page.locator('.editor-group-container.active .monaco-editor.focused').waitFor();
  }

  /** The text cursor to a line and column, both from 1. */
  async goTo(line: number, column: number): Promise<void> {
    const input = await this.quickInput('Control+G');
    await input.fill(`:${line}:${column}`);
    await this.page.keyboard.press('Enter');
    await input.waitFor({ state: 'hidden' });
  }

  /** The rows of the Problems panel, opened if it is not. */
  async problems(): Promise<Locator> {
    const panel = this.page.locator('.markers-panel-container');
    if (!(await panel.isVisible())) await this.page.keyboard.press('Control+Shift+M');
    await panel.waitFor({ state: 'visible' });
    return panel.locator('.monaco-list-row');
  }

  /** A picture of the whole window, under `vscode-extension/media/screenshots` when LANDFALL_SCREENSHOTS is set, else beside the tests' files. */
  async screenshot(name: string): Promise<void> {
    const folder = process.env.LANDFALL_SCREENSHOTS ?? join(tmpdir(), 'landfall-screenshots');
    mkdirSync(folder, { recursive: true });
    await this.page.screenshot({ path: join(folder, `${name}.png`), animations: 'disabled' });
  }

  async close(): Promise<void> {
    await this.#browser.close();
    end(this.#server);
    if (this.#server.exitCode === null && this.#server.signalCode === null) await once(this.#server, 'exit');
    rmSync(this.#root, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 });
  }
}

/** The whole group: the extension host and its children are processes of their own. */
function end({ pid, exitCode, signalCode }: ChildProcess): void {
  if (pid === undefined || exitCode !== null || signalCode !== null) return;
  try {
    process.kill(-pid, 'SIGKILL');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

async function run(command: string, args: string[], cwd: string, env = process.env): Promise<void> {
  const child = spawn(command, args, { cwd, env, stdio: ['ignore', 'pipe', 'pipe'] });
  let said = '';
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (chunk) => {
      said = `${said}${chunk}`.slice(-4000);
    });
  const [code] = await once(child, 'exit');
  if (code !== 0) throw new Error(`${args.join(' ')} ended with ${code}:\n${said}`);
}

function freePort(): Promise<number> {
  const server = createServer();
  return new Promise((done, failed) => {
    server.once('error', failed);
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address() as { port: number };
      server.close(() => done(port));
    });
  });
}

async function ready(url: string, log: () => string): Promise<void> {
  for (let attempt = 0; attempt < 150; attempt++) {
    const answered = await fetch(url).then(
      (answer) => answer.ok,
      () => false,
    );
    if (answered) return;
    await sleep(200);
  }
  throw new Error(`VS Code did not answer within half a minute:\n${log()}`);
}
