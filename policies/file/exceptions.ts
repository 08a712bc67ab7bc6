import type { Exception } from './policy.ts';
import { cel, instant, list, mapping, optional, required, ruleName, type Shape, text } from './shape.ts';

const fields = mapping({
  rule: required(ruleName, 'The rule of this policy that is set aside.'),
  owner: required(text, 'Who answers for it.'),
  reason: required(text, 'Why.'),
  expires: required(instant, 'From then on the rule holds again.'),
  match: optional(
    cel({ wanted: 'bool' }),
    'CEL over the request: whom it is for; every request, when absent.',
  ),
});

const exception: Shape<Exception> = {
  ...fields,
  read(field, path, reading) {
    const values = fields.read(field, path, reading);
    if (values === undefined) return undefined;
    const { reader, now } = reading;
    if (Date.parse(values.expires) <= now.getTime()) {
      const message = `the exception for rule '${values.rule}' has expired (${values.expires}): the rule holds`;
      reader.report(field.value, path, 'expired-exception', message, { severity: 'warning' });
    }
    const { line } = reader.position(field.value?.range?.[0] ?? 0);
    return { ...values, line, match: values.match ?? null };
  },
};

/** `spec.exceptions`; read after the rules. */
export const exceptions: Shape<Exception[]> = list(exception, { max: 500 });
