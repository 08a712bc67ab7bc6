import { readdirSync, readFileSync } from 'node:fs';

/** A policy shipped with Landfall, to be put in force as it is or to be copied and changed. */
export interface PolicyPack {
  /** The policy's name, and the file's. */
  name: string;
  /** What it is for: the comment at the head of the file, one line. */
  summary: string;
  /** The file, with its tests. */
  source: string;
}

const folder = new URL('packs/', import.meta.url);

/** All packs, by name. */
export function policyPacks(): PolicyPack[] {
  return readdirSync(folder)
    .filter((file) => file.endsWith('.yaml'))
    .sort()
    .map((file) => {
      const source = readFileSync(new URL(file, folder), 'utf8');
      const head = source.slice(0, source.indexOf('apiVersion:'));
      const summary = head.replaceAll(/^#\s?/gm, '').replaceAll(/\s+/g, ' ').trim();
      return { name: file.replace(/\.yaml$/, ''), summary, source };
    });
}
