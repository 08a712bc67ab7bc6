/** The functions and macros of CEL that a policy may use, as editors show them. */
export interface CelFunction {
  name: string;
  /** What it is called on; null = it stands alone. */
  receiver: 'string' | 'list' | 'map' | 'list or map' | 'any' | null;
  /** Each argument by name. */
  arguments: readonly string[];
  returns: string;
  about: string;
  /** A whole expression over request and offer. */
  example: string;
}

const TEXT = { receiver: 'string', returns: 'bool' } as const;
const ELEMENTS = { receiver: 'list or map', arguments: ['x', 'condition'] } as const;

export const CEL_FUNCTIONS: readonly CelFunction[] = [
  {
    name: 'has',
    receiver: null,
    arguments: ['attribute'],
    returns: 'bool',
    about: 'Whether an attribute or a label is there; reading a missing one is an error, which rejects.',
    example: 'has(request.labels.env) && request.labels.env == "prod"',
  },
  {
    name: 'size',
    receiver: null,
    arguments: ['value'],
    returns: 'int',
    about: 'How many characters a text has, or elements a list or map.',
    example: 'size(request.regions) > 0',
  },
  {
    name: 'size',
    receiver: 'any',
    arguments: [],
    returns: 'int',
    about: 'How many characters a text has, or elements a list or map.',
    example: 'request.name.size() <= 20',
  },
  {
    ...TEXT,
    name: 'startsWith',
    arguments: ['prefix'],
    about: 'Whether the text begins so.',
    example: 'offer.region.startsWith("eu-")',
  },
  {
    ...TEXT,
    name: 'endsWith',
    arguments: ['suffix'],
    about: 'Whether the text ends so.',
    example: 'offer.instanceType.endsWith(".metal")',
  },
  {
    ...TEXT,
    name: 'contains',
    arguments: ['part'],
    about: 'Whether the text has this in it.',
    example: 'request.image.contains("debian")',
  },
  {
    ...TEXT,
    name: 'matches',
    arguments: ['pattern'],
    about:
      'Whether the regular expression, a literal, is found in the text. No lookaround, no backreferences.',
    example: 'request.name.matches("^web-[0-9]+$")',
  },
  {
    name: 'lowerAscii',
    receiver: 'string',
    arguments: [],
    returns: 'string',
    about: 'The text in lower case.',
    example: 'request.gpuName.lowerAscii() == "a100"',
  },
  {
    name: 'upperAscii',
    receiver: 'string',
    arguments: [],
    returns: 'string',
    about: 'The text in upper case.',
    example: 'request.gpuName.upperAscii() == "A100"',
  },
  {
    name: 'trim',
    receiver: 'string',
    arguments: [],
    returns: 'string',
    about: 'The text without white space at its ends.',
    example: 'request.dataClass.trim() == "restricted"',
  },
  {
    name: 'split',
    receiver: 'string',
    arguments: ['separator'],
    returns: 'list<string>',
    about: 'The parts of the text between separators.',
    example: 'request.name.split("-")[0] == "web"',
  },
  {
    name: 'substring',
    receiver: 'string',
    arguments: ['start', 'end'],
    returns: 'string',
    about: 'The text from one place to another, both counted from 0.',
    example: 'offer.region.substring(0, 2) == "eu"',
  },
  {
    name: 'indexOf',
    receiver: 'string',
    arguments: ['part'],
    returns: 'int',
    about: 'Where the part first stands, from 0; -1 where it does not.',
    example: 'request.name.indexOf("-") >= 0',
  },
  {
    name: 'lastIndexOf',
    receiver: 'string',
    arguments: ['part'],
    returns: 'int',
    about: 'Where the part last stands, from 0; -1 where it does not.',
    example: 'request.name.lastIndexOf("-") >= 0',
  },
  {
    name: 'join',
    receiver: 'list',
    arguments: ['separator'],
    returns: 'string',
    about: 'The texts of the list as one, with the separator between them.',
    example: 'request.regions.join(",") != ""',
  },
  {
    ...ELEMENTS,
    name: 'all',
    returns: 'bool',
    about: 'Whether the condition holds for every element; for a map, for every key.',
    example: 'request.regions.all(r, r.startsWith("eu-"))',
  },
  {
    ...ELEMENTS,
    name: 'exists',
    returns: 'bool',
    about: 'Whether the condition holds for an element or more; for a map, for a key or more.',
    example: 'request.labels.exists(key, key == "env")',
  },
  {
    ...ELEMENTS,
    name: 'exists_one',
    returns: 'bool',
    about: 'Whether the condition holds for exactly one element.',
    example: 'request.sites.exists_one(s, s == "hall-1")',
  },
  {
    ...ELEMENTS,
    receiver: 'list',
    name: 'filter',
    returns: 'list',
    about: 'The elements for which the condition holds.',
    example: 'request.regions.filter(r, r.startsWith("eu-")).size() > 0',
  },
  {
    name: 'map',
    receiver: 'list',
    arguments: ['x', 'value'],
    returns: 'list',
    about: 'The value made of each element.',
    example: '"EU" in request.regions.map(r, r.upperAscii().substring(0, 2))',
  },
  {
    name: 'int',
    receiver: null,
    arguments: ['value'],
    returns: 'int',
    about: 'A double (cut off) or a text as a whole number.',
    example: 'int(offer.memoryGiB) == 16',
  },
  {
    name: 'double',
    receiver: null,
    arguments: ['value'],
    returns: 'double',
    about: 'An int or a text as a number with a point.',
    example: 'double(offer.vcpus) * 2.0 <= offer.memoryGiB',
  },
  {
    name: 'string',
    receiver: null,
    arguments: ['value'],
    returns: 'string',
    about: 'A number or a truth value as a text.',
    example: 'string(request.vcpus) == request.labels.cpus',
  },
  {
    name: 'bool',
    receiver: null,
    arguments: ['text'],
    returns: 'bool',
    about: 'A text such as "true" as a truth value.',
    example: 'bool(request.labels.public) == request.publicAddress',
  },
];
