/** Finds these words where they stand by themselves: `instance/web` is not in `instance/web-2`. The longest first. */
export function wholeWords(words: Iterable<string>): RegExp {
  const parts = [...words]
    .sort((a, b) => b.length - a.length)
    .map((each) => each.replace(/[^\w/-]/g, '\\$&'));
  // Of no words there is none: an empty choice would be found everywhere.
  const any = parts.length === 0 ? '(?!)' : parts.join('|');
  return new RegExp(`(?<![\\w./-])(${any})(?![\\w/-]|\\.\\w)`, 'g');
}
