/** Files that the tests of policies name: requests, offers and machines. */

import { resolve } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import type { FixtureKind } from '@landfall/policies/file/read-tests.ts';
import { isMap, isScalar, isSeq, type Scalar } from 'yaml';
import type { FilePart, LandfallFile } from './file.ts';

/** A test that names a file. */
export interface Fixture {
  part: FilePart;
  node: Scalar;
  uri: string;
  kind: FixtureKind;
}

const KINDS: readonly FixtureKind[] = ['request', 'offers', 'places', 'estate'];

/** The files that the tests of a file name; read from its YAML, so that a policy with errors has them too. */
export function fixturesOf(file: LandfallFile): Fixture[] {
  return file.parts.flatMap((part) => {
    const tests = part.kind === 'PlacementPolicy' ? part.document?.getIn(['tests'], true) : undefined;
    if (!isSeq(tests)) return [];
    return tests.items.flatMap((test) => {
      if (!isMap(test)) return [];
      return KINDS.flatMap((kind) => {
        const node = test.get(kind, true);
        if (!isScalar(node) || typeof node.value !== 'string') return [];
        const uri = beside(file.uri, node.value);
        return uri === undefined ? [] : [{ part, node, uri, kind }];
      });
    });
  });
}

/** A file named in another, from the folder of that; undefined where that is not on disk. */
export function beside(uri: string, path: string): string | undefined {
  return uri.startsWith('file:')
    ? pathToFileURL(resolve(fileURLToPath(new URL('.', uri)), path)).href
    : undefined;
}
