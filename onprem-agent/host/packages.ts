import { CommandFailed, run } from './command.ts';
import { requiredPackages } from './packages.mjs';

export { requiredPackages };

/** Those of `packages` that dpkg does not know as installed. Throws where there is no dpkg: other distributions install by hand. */
export async function missingPackages(packages: readonly string[] = requiredPackages): Promise<string[]> {
  // biome-ignore lint/suspicious/noTemplateCurlyInString: dpkg-query's own placeholders
  const format = ['-W', '-f', '${Package} ${db:Status-Status}\n'];
  let listing: string;
  try {
    listing = await run('dpkg-query', [...format, ...packages]);
  } catch (error) {
    // dpkg-query ends with 1 when one package is unknown, and has listed the others by then.
    if (!(error instanceof CommandFailed) || error.exitCode !== 1) throw error;
    listing = error.stdout;
  }
  const installed = new Set(
    listing
      .split('\n')
      .map((line) => line.split(' '))
      .filter(([, status]) => status === 'installed')
      .map(([name]) => name),
  );
  return packages.filter((name) => !installed.has(name));
}

/** Throws one sentence with the install command when something is missing. */
export async function requirePackages(): Promise<void> {
  const missing = await missingPackages();
  if (missing.length === 0) return;
  throw new Error(
    `this host lacks ${missing.join(', ')}: run \`apt-get install --no-install-recommends ${missing.join(' ')}\` as root`,
  );
}
