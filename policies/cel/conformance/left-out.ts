/** The reason that most are left out for. */
export const MESSAGES = 'protobuf messages: attributes are texts, numbers, lists and maps';

/** Files of the conformance suite about what the policy language does not have, with the reason. */
const FILES: Record<string, string> = {
  bindings_ext: 'cel.bind: a policy has variables',
  block_ext: 'cel.block: made by optimizers, not written',
  encoders_ext: 'the extension base64',
  math_ext: 'the extension math',
  string_ext: 'the extension strings',
  macros2: 'macros with two variables',
  optionals: 'optional values: a policy says has()',
  proto2: MESSAGES,
  proto2_ext: MESSAGES,
  proto3: MESSAGES,
  enums: MESSAGES,
  wrappers: MESSAGES,
  dynamic: MESSAGES,
};

/** Why a case of the suite is not run; null = it is. */
export function leftOut(file: string, source: string): string | null {
  if (FILES[file] !== undefined) return FILES[file];
  return /TestAllTypes|GlobalEnum|\bproto[23]\b|google\.protobuf\.(?!(Timestamp|Duration)\b)/.test(source)
    ? MESSAGES
    : null;
}
