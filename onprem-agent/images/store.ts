import { createHash, randomUUID } from 'node:crypto';
import {
  chmod,
  copyFile,
  link,
  mkdir,
  readdir,
  readFile,
  rename,
  rm,
  stat,
  writeFile,
} from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { withFileLock } from '../file-lock.ts';
import { run } from '../host/command.ts';
import { debianRecipe } from './debian.ts';
import { fetchImage } from './download.ts';
import type { BuildContext, DirectBoot, Recipe } from './recipe.ts';
import { tinyRecipe } from './tiny.ts';

/** A golden image: files of mode 0444 in a folder of its own. */
export interface GoldenImage {
  /** Name of the folder: unique for this content. */
  key: string;
  folder: string;
  /** Size of its disk as the guest sees it, in bytes. */
  diskBytes: number;
  boot?: DirectBoot;
}

/** Where an image comes from. `url`: http, https or file; `sha256` in hex. */
export type ImageSource = { builtin: string } | { url: string; sha256: string };

export interface StoreOptions {
  /** One line for people as the work goes on. */
  progress?: (line: string) => void;
  /** Cancels waiting and building; nothing half is left. */
  signal?: AbortSignal;
}

const recipes: readonly Recipe[] = [tinyRecipe, debianRecipe];

/** Names of the images an agent makes itself. */
export const builtinImages: readonly string[] = recipes.map((recipe) => recipe.name);

/** User to log in as, of a built-in image. */
export function builtinUser(name: string): string | undefined {
  return recipes.find((recipe) => recipe.name === name)?.user;
}

/** The user's image cache: `$LANDFALL_CACHE_DIR/images`, by default `~/.cache/landfall/images`. */
export function imageCache(): string {
  const cache =
    process.env.LANDFALL_CACHE_DIR ??
    join(process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'landfall');
  return join(cache, 'images');
}

/**
 * Builds a built-in image, or downloads one, unless the cache has it; answers the golden files. One process builds an image
 * while others wait for it; a build that dies leaves nothing a later one would trip over.
 * Throws Error with one sentence when the source is unknown, the checksum differs or a program fails.
 */
export async function prepareImage(
  source: string | ImageSource,
  options: StoreOptions = {},
): Promise<GoldenImage> {
  const wanted = typeof source === 'string' ? { builtin: source } : source;
  const { key, build } = 'builtin' in wanted ? await builtinPlan(wanted.builtin) : urlPlan(wanted);
  const cache = imageCache();
  const folder = join(cache, key);
  const cached = await readImage(folder, key);
  if (cached) return cached;
  await mkdir(cache, { recursive: true });
  return withFileLock(
    join(cache, `.${key}.lock`),
    async () => {
      const meanwhile = await readImage(folder, key);
      if (meanwhile) return meanwhile;
      await removeAbandoned(cache, key);
      const building = join(cache, `.building-${key}-${randomUUID()}`);
      await mkdir(building);
      try {
        const progress = options.progress ?? (() => {});
        const started = performance.now();
        const { boot } = await build({ folder: building, progress, signal: options.signal });
        await rm(join(building, 'work'), { recursive: true, force: true });
        const diskBytes = await virtualSize(join(building, 'root.qcow2'));
        await writeFile(join(building, 'image.json'), `${JSON.stringify({ diskBytes, boot })}\n`);
        for (const file of await readdir(building)) await chmod(join(building, file), 0o444);
        await rename(building, folder);
        progress(`${key} is ready after ${((performance.now() - started) / 1000).toFixed(1)} s`);
      } finally {
        await rm(building, { recursive: true, force: true });
      }
      return (await readImage(folder, key)) as GoldenImage;
    },
    options.signal,
  );
}

/**
 * Puts a golden image where libvirt may read it: a hard link, or a copy on another file system. Idempotent.
 * Answers the folder under `storage`.
 */
export async function publishImage(image: GoldenImage, storage: string): Promise<string> {
  const folder = join(storage, 'images', image.key);
  if (await readImage(folder, image.key)) return folder;
  const staged = join(storage, 'images', `.staged-${image.key}-${randomUUID()}`);
  await mkdir(staged, { recursive: true, mode: 0o755 });
  try {
    for (const file of await readdir(image.folder))
      await linkOrCopy(join(image.folder, file), join(staged, file));
    await rename(staged, folder).catch(async (error: NodeJS.ErrnoException) => {
      // Another call published it first.
      if (!['EEXIST', 'ENOTEMPTY'].includes(error.code ?? '')) throw error;
    });
  } finally {
    await rm(staged, { recursive: true, force: true });
  }
  return folder;
}

/** A published image by its key; undefined where it is not there. */
export async function publishedImage(storage: string, key: string): Promise<GoldenImage | undefined> {
  return readImage(join(storage, 'images', key), key);
}

async function linkOrCopy(from: string, to: string): Promise<void> {
  try {
    await link(from, to);
  } catch (error) {
    if (!['EXDEV', 'EPERM', 'EMLINK'].includes((error as NodeJS.ErrnoException).code ?? '')) throw error;
    await copyFile(from, to);
    await chmod(to, 0o444);
  }
}

/** Where an image goes in the cache, and how it is made. */
interface Plan {
  key: string;
  build: Recipe['build'];
}

async function builtinPlan(name: string): Promise<Plan> {
  const recipe = recipes.find((one) => one.name === name);
  if (!recipe) throw new UnknownImage(`no built-in image ${name}; there are ${builtinImages.join(', ')}`);
  const hash = createHash('sha256').update(recipe.version);
  for (const source of recipe.sources) await hashInto(hash, source);
  return { key: `${name}-${recipe.version}-${hash.digest('hex').slice(0, 12)}`, build: recipe.build };
}

function urlPlan({ url, sha256 }: { url: string; sha256: string }): Plan {
  if (!/^[0-9a-f]{64}$/i.test(sha256)) throw new UnknownImage('sha256 of an image is 64 hexadecimal digits');
  if (!/^(https?|file):\/\//.test(url)) throw new UnknownImage('the URL of an image is http, https or file');
  const build = async (context: BuildContext) => {
    await fetchImage(url, { algorithm: 'sha256', digest: sha256.toLowerCase() }, context);
    return {};
  };
  return { key: `sha256-${sha256.toLowerCase()}`, build };
}

/** The source of an image is not one we know or can read. */
export class UnknownImage extends Error {
  override readonly name = 'UnknownImage';
}

async function hashInto(hash: ReturnType<typeof createHash>, path: string): Promise<void> {
  if (!(await stat(path)).isDirectory()) {
    hash.update(await readFile(path));
    return;
  }
  for (const name of (await readdir(path)).sort()) {
    hash.update(`\0${name}\0`);
    await hashInto(hash, join(path, name));
  }
}

async function readImage(folder: string, key: string): Promise<GoldenImage | undefined> {
  try {
    const record = JSON.parse(await readFile(join(folder, 'image.json'), 'utf8')) as Pick<
      GoldenImage,
      'diskBytes' | 'boot'
    >;
    return { key, folder, ...record };
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw new Error(`the image in ${folder} is damaged: remove the folder`, { cause: error });
  }
}

/** Called under the image's lock: whatever is being built then is being built by nobody. */
async function removeAbandoned(cache: string, key: string): Promise<void> {
  for (const name of await readdir(cache)) {
    if (name.startsWith(`.building-${key}-`)) await rm(join(cache, name), { recursive: true, force: true });
  }
}

async function virtualSize(path: string): Promise<number> {
  const text = await run('qemu-img', ['info', '-f', 'qcow2', '--output=json', path]);
  return (JSON.parse(text) as { 'virtual-size': number })['virtual-size'];
}
