/**
 * Makes the generated files anew: `npm run generate`. With `--check` it writes nothing and names what is
 * stale.
 */
import { execFile } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { findPackageJSON } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { parseArgs, promisify } from 'node:util';
import { root } from './node24.mjs';

const run = promisify(execFile);

/** One generated file. */
export interface Generator {
  input: string;
  output: string;
  /** Writes the file to `target`. */
  make(input: string, target: string): Promise<void>;
}

/** The folder of a package as a workspace sees it; npm may have put it at any level. */
function packageFolder(name: string, workspace: string): string {
  const found = findPackageJSON(name, pathToFileURL(join(root, workspace, 'package.json')));
  if (found === undefined)
    throw new Error(`${name} is not installed: run \`node tools/bootstrap.mjs install\`.`);
  return dirname(found);
}

/** Every generator. openapi-typescript lives in tools/gen with the TypeScript 5 whose API it needs. */
export const generators: readonly Generator[] = [
  {
    input: 'model/openapi.yaml',
    output: 'model/generated/api.ts',
    make: async (input, target) => {
      const cli = join(packageFolder('openapi-typescript', 'tools/gen'), 'bin', 'cli.js');
      await run(process.execPath, [cli, input, '--output', target], {
        cwd: root,
        maxBuffer: 64 * 1024 * 1024,
      });
    },
  },
  {
    input: 'policies/file/schema.ts',
    output: 'policies/schema/policy.schema.json',
    make: async (input, target) => {
      const { policySchema } = (await import(pathToFileURL(input).href)) as { policySchema(): unknown };
      writeFileSync(target, await formattedJson(policySchema()));
    },
  },
  ...(['request', 'offers', 'places', 'estate'] as const).map((kind) => ({
    input: 'policies/file/schema.ts',
    output: `policies/schema/${kind}.schema.json`,
    make: async (input: string, target: string) => {
      const { fixtureSchema } = (await import(pathToFileURL(input).href)) as {
        fixtureSchema(kind: string): unknown;
      };
      writeFileSync(target, await formattedJson(fixtureSchema(kind)));
    },
  })),
  {
    input: 'model/openapi.yaml',
    output: 'vscode-extension/language/resource-schemas.json',
    make: async (input, target) => {
      const { resourceSchemas } = await import('./resource-schemas.ts');
      writeFileSync(target, await formattedJson(resourceSchemas(input)));
    },
  },
  {
    input: 'mcp/tools.ts',
    output: 'vscode-extension/package.json',
    make: async (input, target) => {
      const { estateTools } = (await import(
        pathToFileURL(input).href
      )) as typeof import('@landfall/mcp/tools.ts');
      const manifest = JSON.parse(readFileSync(join(root, 'vscode-extension/package.json'), 'utf8'));
      const before: { name: string }[] = manifest.contributes.languageModelTools;
      manifest.contributes.languageModelTools = Object.entries(estateTools).map(
        ([name, { title, description, inputSchema }]) => ({
          name,
          // What only the editor shows (icon, words for people) is written by hand.
          ...before.find((each) => each.name === name),
          displayName: title,
          modelDescription: description,
          inputSchema,
        }),
      );
      writeFileSync(target, await formattedJson(manifest, 'package.json'));
    },
  },
  {
    input: 'tools/reliability-page.ts',
    output: 'docs/reliability.md',
    make: async (input, target) => {
      const { reliabilityPage } = (await import(pathToFileURL(input).href)) as { reliabilityPage(): string };
      writeFileSync(target, reliabilityPage());
    },
  },
];

async function formattedJson(value: unknown, name = 'made.json'): Promise<string> {
  const cli = join(packageFolder('@biomejs/biome', '.'), 'bin', 'biome');
  const formatting = run(process.execPath, [cli, 'format', `--stdin-file-path=${name}`], { cwd: root });
  formatting.child.stdin!.end(JSON.stringify(value, null, 2));
  return (await formatting).stdout;
}

/** Runs the generators over `base`; answers the outputs that differ from what is there. */
export async function generate(
  base: string,
  options: { check: boolean },
  list = generators,
): Promise<string[]> {
  const stale: string[] = [];
  const folder = mkdtempSync(join(tmpdir(), 'landfall-generate-'));
  try {
    for (const { input, output, make } of list) {
      const source = resolve(base, input);
      if (!existsSync(source)) throw new Error(`${source}, from which ${output} is made, does not exist.`);
      const made = join(folder, 'made.ts');
      try {
        await make(source, made);
      } catch (error) {
        const { stderr, stdout, message } = error as Error & { stderr?: string; stdout?: string };
        throw new Error(`${output} could not be made from ${input}:\n${stderr || stdout || message}`, {
          cause: error,
        });
      }
      const text = readFileSync(made, 'utf8');
      const target = resolve(base, output);
      if (existsSync(target) && readFileSync(target, 'utf8') === text) continue;
      stale.push(output);
      if (options.check) continue;
      mkdirSync(dirname(target), { recursive: true });
      writeFileSync(`${target}.next`, text);
      renameSync(`${target}.next`, target);
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
  return stale;
}

if (process.argv[1] === import.meta.filename) {
  const { values } = parseArgs({ options: { check: { type: 'boolean', default: false } } });
  try {
    const stale = await generate(root, values);
    for (const output of stale) {
      process.stdout.write(
        values.check ? `${output} is stale: run \`npm run generate\`\n` : `${output} written\n`,
      );
    }
    if (stale.length === 0) process.stdout.write('Generated files are current.\n');
    process.exitCode = values.check && stale.length > 0 ? 1 : 0;
  } catch (error) {
    process.stderr.write(`${(error as Error).message}\n`);
    process.exitCode = 1;
  }
}
