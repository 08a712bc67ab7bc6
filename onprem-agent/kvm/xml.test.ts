import { child, element, parseXml } from './xml.ts';

test('text and attributes come back as they were, whatever characters they have', () => {
  const nasty = `<a b='1'>&amp; "x" ]]> é 🐟\n\ttail`;
  const text = element('root', { key: nasty }, [element('leaf', {}, nasty)]).text;
  expect(text).not.toContain("<a b='1'>");
  const [root] = parseXml(text);
  expect(root?.attributes.key).toBe(nasty);
  expect(root && child(root, 'leaf')?.text).toBe(nasty);
});

test('text that XML cannot hold is refused', () => {
  expect(() => element('a', {}, 'bell \u0007')).toThrow(TypeError);
  expect(() => element('a', { k: '\u0000' })).toThrow(TypeError);
});

test('a name that is not an XML name is refused', () => {
  expect(() => element('a b')).toThrow(TypeError);
  expect(() => element('a', { 'x="1" y': '2' })).toThrow(TypeError);
});

test('several documents in one text are read one after the other', () => {
  const documents = parseXml("<?xml version='1.0'?><a/>\n<!-- <no/> -->\n<b x='1'><c>2</c></b>\n");
  expect(documents.map((one) => one.name)).toEqual(['a', 'b']);
});

test('broken XML is refused', () => {
  expect(() => parseXml('<a><b></a>')).toThrow(SyntaxError);
  expect(() => parseXml('<a>')).toThrow(SyntaxError);
});
