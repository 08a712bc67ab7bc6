/** One VS Code with the packed extension, open on a folder, in a browser: what the end-to-end tests of the extension drive. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Browser, chromium as browserType, type Locator, type Page } from 'playwright-core';
import { chromium } from './code-server.ts';
import { type EditorMachine, runToEnd, ThisMachine } from './editor-machine.ts';

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
  /** Where its server runs, which ends with the editor; without it on this machine, as the window does. */
  machine?: EditorMachine;
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

/** Packs the extension into a folder of its own, since other tests may do so at the same time: `dist/landfall.vsix` in it. */
async function packExtension(folder: string): Promise<void> {
  const args = ['build.ts', '--package', '--into', folder];
  await runToEnd(process.execPath, args, join(repository, 'vscode-extension'));
}

/** A running editor. `close` ends all that it started. */
export class Editor {
  readonly page: Page;
  /** The folder that is open, as the tests see it. */
  readonly folder: string;
  readonly #machine: EditorMachine;
  readonly #browser: Browser;

  private constructor(machine: EditorMachine, browser: Browser, page: Page) {
    this.folder = join(machine.seen, 'work');
    this.#machine = machine;
    this.#browser = browser;
    this.page = page;
  }

  /** Packs the extension, installs it into a new VS Code, starts it and opens a folder of these files. */
  static async open({ files, settings = {}, env = {}, probe, ...options }: EditorOptions): Promise<Editor> {
    const machine = options.machine ?? (await ThisMachine.make());
    let browser: Browser | undefined;
    try {
      const { folder: root, seen } = machine;
      mkdirSync(join(seen, 'user/User'), { recursive: true });
      writeFileSync(join(seen, 'user/User/settings.json'), JSON.stringify({ ...quiet, ...settings }));
      for (const [name, text] of Object.entries(files)) {
        mkdirSync(join(seen, 'work', name, '..'), { recursive: true });
        writeFileSync(join(seen, 'work', name), text);
      }
      const folders = ['--user-data-dir', join(root, 'user'), '--extensions-dir', join(root, 'extensions')];
      const work = join(root, 'work');
      await packExtension(join(seen, 'packed'));
      // Besides a probe it runs from its folder, as one that is being developed.
      if (probe === undefined)
        await machine.run([...folders, '--install-extension', join(root, 'packed/dist/landfall.vsix')], env);
      const quietly = ['--disable-telemetry', '--disable-update-check', '--disable-workspace-trust'];
      if (probe !== undefined) quietly.push('--vscode-option', 'enable-smoke-test-driver');
      const url = await machine.serve(['--auth', 'none', ...quietly, ...folders, work], env);
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
      const remote = (path: string): string => `vscode-remote://${new URL(url).host}${path}`;
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
      // A machine that does much else needs longer for the first page than for all that follows.
      await page.goto(`${url}/?${query}`, { timeout: 120_000 });
      await page.locator('.monaco-workbench').waitFor({ state: 'attached' });
      await page.locator('.explorer-folders-view .monaco-list-row').first().waitFor({ state: 'attached' });
      return new Editor(machine, browser, page);
    } catch (error) {
      await browser?.close();
      await machine.close();
      throw error;
    }
  }

  /** The input that a key opens, with this in it. It closes as soon as something else takes the focus, so do it within `insisting`. */
  async #typed(key: string, text: string): Promise<Locator> {
    const input = this.page.locator('.quick-input-widget input.input');
    if (!(await input.isVisible())) await this.page.keyboard.press(key);
    await input.fill(text, { timeout: shortly });
    return input;
  }

  /** The input that a key opens, with this in it. */
  quickInput(key: string, text: string): Promise<Locator> {
    return insisting(() => this.#typed(key, text));
  }

  /** Runs a command of the palette by its title. */
  async command(title: string): Promise<void> {
    await insisting(async () => {
      await this.#typed('F1', `>${title}`);
      await this.page
        .locator('.quick-input-list .monaco-list-row', { hasText: title })
        .first()
        .click({ timeout: shortly });
    });
  }

  /** Opens a file of the folder and waits until it can be typed into. */
  async openFile(path: string): Promise<void> {
    const name = path.split('/').at(-1)!;
    await insisting(async () => {
      await this.#typed('Control+P', path);
      await this.page
        .locator('.quick-input-list .monaco-list-row', { hasText: name })
        .first()
        .click({ timeout: shortly });
      await this.page
        .locator(`.tab.active[data-resource-name="${name}"]`)
        .waitFor({ state: 'attached', timeout: shortly });
      // Not by a click: beside another editor the middle of this one may be under its minimap.
      await this.page
        .locator('.editor-group-container.active .monaco-editor.focused')
        .waitFor({ timeout: shortly });
    });
  }

  /** The text cursor to a line and column, both from 1. */
  async goTo(line: number, column: number): Promise<void> {
    const input = await this.quickInput('Control+G', `:${line}:${column}`);
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
    await this.#machine.close();
  }
}

const shortly = 5_000;

/**
 * Does it, and again while it fails, for half a minute. A page keeps no order between keys and focus: what a link opened a moment ago
 * takes the focus when it has been drawn, and closes the palette that a key has opened since.
 */
async function insisting<T>(action: () => Promise<T>): Promise<T> {
  const until = Date.now() + 30_000;
  for (;;) {
    try {
      return await action();
    } catch (error) {
      if (Date.now() > until) throw error;
    }
  }
}
