/** `node:fs` in a browser: the data files, and those of the workspace that the editor has sent. The extension itself has none. */
const files = new Map<string, string>();

/** Takes over what a file has become; undefined: it is gone. */
export function keep(path: string, text: string | undefined): void {
  if (text === undefined) files.delete(path);
  else files.set(path, text);
}

const pathOf = (file: string | URL): string =>
  file instanceof URL ? decodeURIComponent(file.pathname) : file;

function missing(path: string): Error {
  return Object.assign(new Error(`There is no ${path} that an editor in a browser can read.`), {
    code: 'ENOENT',
  });
}

export function readFileSync(file: string | URL): string {
  const text = files.get(pathOf(file));
  if (text === undefined) throw missing(pathOf(file));
  return text;
}

export const existsSync = (file: string | URL): boolean => files.has(pathOf(file));

export const statSync = (file: string): { size: number } => ({
  size: new TextEncoder().encode(readFileSync(file)).length,
});

/** Folders are what paths have in common. */
export function readdirSync(folder: string): { name: string; isDirectory(): boolean }[] {
  const under = folder.endsWith('/') ? folder : `${folder}/`;
  const entries = new Map<string, boolean>();
  for (const path of files.keys()) {
    if (!path.startsWith(under)) continue;
    const [name = '', ...rest] = path.slice(under.length).split('/');
    entries.set(name, rest.length > 0 || entries.get(name) === true);
  }
  if (entries.size === 0) throw missing(folder);
  return [...entries].map(([name, directory]) => ({ name, isDirectory: () => directory }));
}

const written = (): never => {
  throw new Error('No files are written in a browser.');
};

export { written as chmodSync, written as mkdirSync, written as renameSync, written as writeFileSync };
