/** From a name to where it is defined and used, over all files; and another name for it. */
import {
  ErrorCodes,
  type Location,
  type Position,
  type Range,
  ResponseError,
  type WorkspaceEdit,
} from 'vscode-languageserver';
import type { LandfallFile } from './file.ts';
import { fixturesOf } from './fixtures.ts';
import { type Occurrence, occurrences } from './occurrences.ts';
import type { Workspace } from './workspace.ts';

/** What is named at a place. */
export function occurrenceAt(file: LandfallFile, position: Position): Occurrence | undefined {
  const part = file.partAt(position);
  const offset = file.text.offsetAt(position) - part.offset;
  for (const one of occurrences(file))
    if (one.part === part && one.span[0] <= offset && offset <= one.span[1]) return one;
  return undefined;
}

function everywhere(symbol: string, workspace: Workspace): Occurrence[] {
  return workspace.all().flatMap((file) => [...occurrences(file)].filter((one) => one.symbol === symbol));
}

export function definition(file: LandfallFile, position: Position, workspace: Workspace): Location[] {
  const part = file.partAt(position);
  const offset = file.text.offsetAt(position) - part.offset;
  const fixture = fixturesOf(file).find(
    ({ part: of, node: { range } }) => of === part && range && range[0] <= offset && offset <= range[1],
  );
  if (fixture !== undefined) {
    const start = { line: 0, character: 0 };
    return [{ uri: fixture.uri, range: { start, end: start } }];
  }
  const here = occurrenceAt(file, position);
  if (here === undefined) return [];
  return everywhere(here.symbol, workspace)
    .filter(({ isDefinition }) => isDefinition)
    .map(locationOf);
}

export function references(
  file: LandfallFile,
  position: Position,
  workspace: Workspace,
  withDefinition: boolean,
): Location[] {
  const here = occurrenceAt(file, position);
  if (here === undefined) return [];
  return everywhere(here.symbol, workspace)
    .filter(({ isDefinition }) => withDefinition || !isDefinition)
    .map(locationOf);
}

export function renameable(
  file: LandfallFile,
  position: Position,
): { range: Range; placeholder: string } | null {
  const here = occurrenceAt(file, position);
  return here === undefined ? null : { range: rangeOf(here), placeholder: here.name };
}

const ALLOWED: Record<Occurrence['kind'], { pattern: RegExp; what: string }> = {
  variable: { pattern: /^[A-Za-z_]\w*$/, what: 'letters, digits and _, and no digit first' },
  rule: { pattern: /^[A-Za-z][\w ./-]*$/, what: 'letters, digits, spaces and ._/-, and a letter first' },
  policy: {
    pattern: /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/,
    what: 'lower-case letters, digits and hyphens, at most 63',
  },
  resource: {
    pattern: /^(?=.{1,63}$)[a-z]([-.a-z0-9]*[a-z0-9])?$/,
    what: 'lower-case letters, digits and hyphens, at most 63, and a letter first',
  },
};

/** The edits that give it another name everywhere. Throws a {@link ResponseError} for a name it cannot have. */
export function rename(
  file: LandfallFile,
  position: Position,
  newName: string,
  workspace: Workspace,
): WorkspaceEdit | null {
  const here = occurrenceAt(file, position);
  if (here === undefined) return null;
  const { pattern, what } = ALLOWED[here.kind];
  if (!pattern.test(newName))
    throw new ResponseError(
      ErrorCodes.InvalidParams,
      `The name of a ${here.kind} is ${what}; "${newName}" is not.`,
    );
  const changes: NonNullable<WorkspaceEdit['changes']> = {};
  for (const one of everywhere(here.symbol, workspace)) {
    changes[one.file.uri] ??= [];
    changes[one.file.uri]!.push({ range: rangeOf(one), newText: newName });
  }
  return { changes };
}

function rangeOf({ file, part, span }: Occurrence): Range {
  return file.rangeOf(part, span);
}

function locationOf(one: Occurrence): Location {
  return { uri: one.file.uri, range: rangeOf(one) };
}
