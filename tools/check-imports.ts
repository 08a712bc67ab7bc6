/** Checks the import rule over all sources; prints file:line and the rule broken, and ends with 1. */
import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { violationsIn } from './import-rules.ts';
import { root } from './node24.mjs';

const { workspaces } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {
  workspaces: string[];
};
const files = workspaces
  .flatMap((workspace) =>
    globSync(`${workspace}/**/*.{ts,mts,mjs}`, { cwd: root, exclude: (name) => name === 'node_modules' }),
  )
  .map((file) => file.replaceAll('\\', '/'))
  .filter((file) => !file.includes('node_modules/'));
if (files.length === 0) throw new Error('No sources found: the workspaces of package.json name none.');
const violations = files.flatMap((file) => violationsIn(file, readFileSync(join(root, file), 'utf8')));
for (const { file, line, specifier, rule } of violations) {
  process.stdout.write(`${file}:${line}: imports ${specifier}: ${rule}\n`);
}
process.stdout.write(`${files.length} files, ${violations.length} forbidden imports\n`);
process.exitCode = violations.length > 0 ? 1 : 0;
