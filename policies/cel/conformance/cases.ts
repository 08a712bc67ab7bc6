import type { Type as CelType, Decl } from '@bufbuild/cel-spec/cel/expr/checked_pb.js';
import { Type_PrimitiveType } from '@bufbuild/cel-spec/cel/expr/checked_pb.js';
import type { SimpleTest } from '@bufbuild/cel-spec/cel/expr/conformance/test/simple_pb.js';
import type { Value } from '@bufbuild/cel-spec/cel/expr/value_pb.js';
import { getConformanceSuite } from '@bufbuild/cel-spec/testdata/tests.js';
import { anyUnpack, DurationSchema, TimestampSchema } from '@bufbuild/protobuf/wkt';
import { Duration, UnsignedInt } from '@marcbachmann/cel-js/evaluator';
import { leftOut, MESSAGES } from './left-out.ts';

/** One case of the CEL specification's conformance suite that the policy language takes part in. */
export interface ConformanceCase {
  /** `file/section/name`. */
  id: string;
  source: string;
  /** Types of the variables it reads, in CEL. */
  types: Record<string, string>;
  bindings: Record<string, unknown>;
  /** What evaluating it gives, in the form of {@link comparable}; `error` also where it may not pass the checker. */
  expected: string;
}

/** The cases, and how many the suite has that are left out, by reason. */
export function conformanceCases(): { cases: ConformanceCase[]; skipped: Map<string, number> } {
  const cases: ConformanceCase[] = [];
  const skipped = new Map<string, number>();
  const seen = new Map<string, number>();
  for (const file of getConformanceSuite().suites)
    for (const section of file.suites)
      for (const { original } of section.tests) {
        const reason = leftOut(file.name, original.expr) ?? unsupported(original);
        if (reason !== null) {
          skipped.set(reason, (skipped.get(reason) ?? 0) + 1);
          continue;
        }
        const name = `${file.name}/${section.name}/${original.name}`;
        const nth = (seen.get(name) ?? 0) + 1;
        seen.set(name, nth);
        cases.push({
          id: nth === 1 ? name : `${name}#${nth}`,
          source: original.expr,
          types: Object.fromEntries(original.typeEnv.map((decl) => [decl.name, declared(decl)!])),
          bindings: Object.fromEntries(
            Object.entries(original.bindings).map(([key, bound]) => [
              key,
              celValue((bound.kind as { value: Value }).value),
            ]),
          ),
          expected: expectation(original),
        });
      }
  return { cases, skipped };
}

/** A value as text that is equal for equal values of one type; maps are in the order of their keys. */
export function comparable(value: unknown): string {
  if (value === null) return 'null';
  if (typeof value === 'bigint') return `int ${value}`;
  if (typeof value === 'number') return `double ${Object.is(value, -0) ? '-0' : value}`;
  if (typeof value === 'string') return JSON.stringify(value);
  if (typeof value === 'boolean') return String(value);
  if (value instanceof UnsignedInt) return `uint ${value.valueOf()}`;
  if (value instanceof Uint8Array) return `bytes ${Buffer.from(value).toString('hex')}`;
  if (value instanceof Date) return `timestamp ${value.getTime()}`;
  if (value instanceof Duration) return `duration ${value.seconds}s ${value.nanos}`;
  if (Array.isArray(value)) return `[${value.map(comparable).join(', ')}]`;
  if (typeof value === 'object' && value !== null && value.constructor.name === 'Type')
    return `type ${(value as unknown as { name: string }).name}`;
  const entries: [unknown, unknown][] =
    value instanceof Map ? [...value.entries()] : Object.entries(value as object);
  return `{${entries
    .map(([k, v]) => `${comparable(k)}: ${comparable(v)}`)
    .sort()
    .join(', ')}}`;
}

function expectation(test: SimpleTest): string {
  const { resultMatcher } = test;
  switch (resultMatcher.case) {
    case undefined:
      return 'true';
    case 'value':
      return comparable(celValue(resultMatcher.value));
    case 'typedResult':
      return comparable(celValue(resultMatcher.value.result!));
    default:
      return 'error';
  }
}

/** Why a case cannot be said in the policy language at all; null = it can. */
function unsupported(test: SimpleTest): string | null {
  const { resultMatcher } = test;
  if (test.container !== '') return 'containers (name resolution in protobuf packages)';
  if (test.disableMacros) return 'macros turned off';
  if (test.checkOnly) return 'types of expressions that are only checked';
  if (resultMatcher.case === 'unknown' || resultMatcher.case === 'anyUnknowns')
    return 'unknown values (partial evaluation)';
  if (test.typeEnv.some((decl) => declared(decl) === null)) return MESSAGES;
  const values = [
    ...Object.values(test.bindings).map((bound) => (bound.kind.case === 'value' ? bound.kind.value : null)),
    ...(resultMatcher.case === 'value' ? [resultMatcher.value] : []),
    ...(resultMatcher.case === 'typedResult' ? [resultMatcher.value.result ?? null] : []),
  ];
  return values.some((value) => value === null || !convertible(value)) ? MESSAGES : null;
}

function convertible(value: Value): boolean {
  try {
    celValue(value);
    return true;
  } catch (error) {
    if (error instanceof NotInLanguage) return false;
    throw error;
  }
}

class NotInLanguage extends Error {}

function celValue(value: Value): unknown {
  const { kind } = value;
  switch (kind.case) {
    case 'nullValue':
      return null;
    case 'uint64Value':
      return new UnsignedInt(kind.value);
    case 'int64Value':
    case 'boolValue':
    case 'doubleValue':
    case 'stringValue':
    case 'bytesValue':
      return kind.value;
    case 'listValue':
      return kind.value.values.map(celValue);
    case 'mapValue':
      return new Map(kind.value.entries.map(({ key, value: v }) => [celValue(key!), celValue(v!)]));
    case 'typeValue':
      return new Type(kind.value);
    case 'objectValue': {
      const duration = anyUnpack(kind.value, DurationSchema);
      if (duration !== undefined) return new Duration(duration.seconds, duration.nanos);
      const timestamp = anyUnpack(kind.value, TimestampSchema);
      if (timestamp !== undefined)
        return new Date(Number(timestamp.seconds) * 1000 + Math.floor(timestamp.nanos / 1e6));
    }
  }
  throw new NotInLanguage(`no CEL value here for ${kind.case}`);
}

/** A type by its name, as {@link comparable} sees the interpreter's. */
class Type {
  readonly name: string;
  constructor(name: string) {
    this.name = name;
  }
}

/** The CEL name of a variable's type; null for a function, and for types the policy language does not have. */
function declared(decl: Decl): string | null {
  return decl.declKind.case === 'ident' ? typeName(decl.declKind.value.type) : null;
}

const PRIMITIVES: Partial<Record<Type_PrimitiveType, string>> = {
  [Type_PrimitiveType.BOOL]: 'bool',
  [Type_PrimitiveType.INT64]: 'int',
  [Type_PrimitiveType.UINT64]: 'uint',
  [Type_PrimitiveType.DOUBLE]: 'double',
  [Type_PrimitiveType.STRING]: 'string',
  [Type_PrimitiveType.BYTES]: 'bytes',
};

function typeName(type: CelType | undefined): string | null {
  const kind = type?.typeKind;
  switch (kind?.case) {
    case 'dyn':
      return 'dyn';
    case 'primitive':
      return PRIMITIVES[kind.value] ?? null;
    case 'listType': {
      const element = typeName(kind.value.elemType);
      return element && `list<${element}>`;
    }
    case 'mapType': {
      const [key, value] = [typeName(kind.value.keyType), typeName(kind.value.valueType)];
      return key && value && `map<${key}, ${value}>`;
    }
    default:
      return null;
  }
}
