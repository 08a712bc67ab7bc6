/**
 * Bundles the extension and its language server into `dist/`, with the data files that they read: `npm run build -w
 * vscode-extension`. `--watch` goes on with each change; `--package` puts all of it into `dist/landfall.vsix`; `--into <folder>` makes an
 * extension of its own there, `dist/` included, and leaves this folder alone: two that build at once do not meet.
 */
import { cpSync, mkdirSync, rmSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { createVSIX } from '@vscode/vsce';
import { type BuildOptions, build, context, type Plugin } from 'esbuild';

const here = fileURLToPath(new URL('.', import.meta.url));
const policies = fileURLToPath(new URL('../policies/', import.meta.url));

const { values: options } = parseArgs({
  options: {
    watch: { type: 'boolean', default: false },
    package: { type: 'boolean', default: false },
    into: { type: 'string', default: here },
  },
});
const into = resolve(options.into);
const dist = join(into, 'dist');

/** What yaml-language-server would load and this server does not use: its own formatter and translations of messages. */
const UNUSED = /^(prettier(\/.*)?|ajv-i18n)$/;

const withoutUnused: Plugin = {
  name: 'without-unused',
  setup(bundler) {
    bundler.onResolve({ filter: UNUSED }, ({ path }) => ({ path, namespace: 'unused' }));
    bundler.onLoad({ filter: /.*/, namespace: 'unused' }, () => ({ contents: 'module.exports = {}' }));
  },
};

/** Only a policy that is applied needs `policies/` in the extension's own process: reading it would be a fifth of its start. */
const policiesApart: Plugin = {
  name: 'policies-apart',
  setup(bundler) {
    bundler.onResolve({ filter: /^@landfall\/policies$/ }, () => ({
      path: './policies.cjs',
      external: true,
    }));
  },
};

const shared: BuildOptions = {
  absWorkingDir: here,
  bundle: true,
  platform: 'node',
  target: 'node22',
  // Short names too: with the part for a browser it would be over 1.5 MiB. Not `keepNames` beside them, which defines the name of every
  // inner function anew each time it is made: a tenth of the time to the first diagnostics.
  minify: true,
  legalComments: 'none',
  logLevel: 'warning',
  // Several dependencies have an ES module build beside one for `require` that esbuild cannot follow.
  mainFields: ['module', 'main'],
  plugins: [withoutUnused],
};

const stand = (name: string): string => join(here, `web/node/${name}.ts`);

/** Modules of the extension that others in `web/` stand in for. */
const standIns: Record<string, string> = {
  'editor/language-client.ts': 'language-client',
  'estate/command-line.ts': 'command-line',
  'mcp/definition.ts': 'mcp-server',
};

const withoutMachine: Plugin = {
  name: 'without-machine',
  setup(bundler) {
    for (const [module, name] of Object.entries(standIns)) {
      const stood = new RegExp(`/${module.split('/').at(-1)!.replace('.', '\\.')}$`);
      bundler.onResolve({ filter: stood }, ({ path, resolveDir }) =>
        resolve(resolveDir, path) === join(here, module) ? { path: join(here, `web/${name}.ts`) } : undefined,
      );
    }
    bundler.onResolve({ filter: /^@landfall\/policies$/ }, () => ({ path: join(here, 'web/policies.ts') }));
  },
};

/** For an editor in a browser: nothing of Node but what stands in for it. */
const web: BuildOptions = {
  ...shared,
  outdir: join(dist, 'web'),
  platform: 'browser',
  target: 'es2024',
  mainFields: ['browser', 'module', 'main'],
  inject: [stand('globals')],
  define: { 'import.meta.url': '"file:///landfall/server.js"' },
  alias: {
    path: 'path-browserify',
    'node:path': 'path-browserify',
    'node:fs': stand('fs'),
    'node:url': stand('url'),
    'node:crypto': stand('crypto'),
    'node:zlib': stand('zlib'),
    'node:util': stand('util'),
    'node:module': stand('absent'),
    'node:child_process': stand('absent'),
    'node:os': stand('absent'),
    'node:timers/promises': stand('absent'),
    'node:worker_threads': stand('absent'),
  },
  plugins: [withoutUnused],
};

const bundles: BuildOptions[] = [
  {
    ...shared,
    entryPoints: { extension: 'editor/extension.ts' },
    outdir: dist,
    outExtension: { '.js': '.cjs' },
    format: 'cjs',
    external: ['vscode'],
    plugins: [withoutUnused, policiesApart],
  },
  {
    ...shared,
    entryPoints: { policies: '../policies/index.ts' },
    outdir: dist,
    outExtension: { '.js': '.cjs' },
    format: 'cjs',
    // It asks where it is; a CommonJS module has that under another name.
    define: { 'import.meta.url': '__moduleUrl' },
    banner: { js: "const __moduleUrl=require('node:url').pathToFileURL(__filename).href;" },
  },
  {
    ...shared,
    entryPoints: { server: 'language/main.ts', mcp: 'mcp/main.ts' },
    outdir: dist,
    outExtension: { '.js': '.mjs' },
    format: 'esm',
    // CommonJS dependencies in an ES module still call `require`.
    banner: {
      js: "import{createRequire as __createRequire}from'node:module';const require=__createRequire(import.meta.url);",
    },
  },
  {
    ...web,
    entryPoints: { extension: 'web/extension.ts' },
    outExtension: { '.js': '.cjs' },
    format: 'cjs',
    external: ['vscode'],
    plugins: [withoutUnused, withoutMachine],
  },
  { ...web, entryPoints: { server: 'web/server.ts' }, format: 'iife' },
];

rmSync(dist, { recursive: true, force: true });
mkdirSync(dist, { recursive: true });
if (into !== resolve(here))
  for (const name of ['package.json', 'README.md', '.vscodeignore', 'media'])
    cpSync(join(here, name), join(into, name), { recursive: true });
// `policies/` reads these beside the module that asks, which is the bundle.
cpSync(`${policies}catalogue/snapshot`, join(dist, 'snapshot'), { recursive: true });
cpSync(`${policies}catalogue/facts`, join(dist, 'facts'), { recursive: true });
cpSync(`${policies}packs`, join(dist, 'packs'), { recursive: true });

if (options.watch) {
  for (const bundle of bundles) await (await context(bundle)).watch();
} else {
  await Promise.all(bundles.map((bundle) => build(bundle)));
  if (options.package)
    await createVSIX({
      cwd: into,
      packagePath: join(dist, 'landfall.vsix'),
      dependencies: false,
      rewriteRelativeLinks: false,
    });
}
