import type { Json } from './world.ts';

/**
 * A filter of Compute Engine's lists, as far as the simulator knows the language: terms `field = "value"` joined by AND, or one
 * `field eq "regular expression"`, which has to match the whole field. Google takes the two kinds in no filter together.
 * @returns nothing when the filter is another.
 */
export function readFilter(text: string): ((thing: Json) => boolean) | undefined {
  const [, name, pattern] = /^(\w+) eq "([^"]*)"$/.exec(text) ?? [];
  if (name && pattern !== undefined) {
    const whole = new RegExp(`^(?:${pattern})$`);
    return (thing) => whole.test(String(thing[name]));
  }
  const terms = text
    .split(/\s+AND\s+/)
    .map((term) => /^\(?([\w.-]+)\s*=\s*"?([^"()]*?)"?\)?$/.exec(term.trim()));
  const wanted: { field: string[]; value: string }[] = [];
  for (const term of terms) {
    if (!term?.[1] || term[2] === undefined) return undefined;
    const [first = '', ...rest] = term[1].split('.');
    wanted.push({ field: rest.length > 0 ? [first, rest.join('.')] : [first], value: term[2] });
  }
  return (thing) =>
    wanted.every(({ field, value }) => {
      let found: unknown = thing;
      for (const key of field) found = (found as Json | undefined)?.[key];
      return String(found) === value;
    });
}
