import { readFile } from 'node:fs/promises';
import { gunzipSync } from 'node:zlib';
import type { Element } from './xml.ts';

/** The part of botocore's service description that is used here. */
interface ServiceModel {
  metadata: { apiVersion: string };
  operations: Record<string, { input?: { shape: string }; output?: { shape: string } }>;
  shapes: Record<string, Shape>;
}

interface Member {
  shape: string;
  locationName?: string;
  queryName?: string;
}

interface Shape {
  type: string;
  members?: Record<string, Member>;
  required?: string[];
  member?: Member;
  enum?: string[];
  min?: number;
  max?: number;
  pattern?: string;
}

/** What EC2 would say against a request: its error code and message. */
export interface Problem {
  code: string;
  message: string;
}

export interface Ec2Schema {
  apiVersion: string;
  /** Every way in which the parameters (query form, without Action and Version) differ from what AWS publishes. */
  check(action: string, parameters: Iterable<[string, string]>): Problem[];
  /** Every way in which a successful answer differs from what AWS publishes: what the SDK would not read, or misread. */
  checkAnswer(action: string, answer: Element): string[];
}

/** Reads botocore's `service-2.json.gz` of EC2. */
export async function readSchema(path: string): Promise<Ec2Schema> {
  const model = JSON.parse(gunzipSync(await readFile(path)).toString('utf8')) as ServiceModel;
  return {
    apiVersion: model.metadata.apiVersion,
    check(action, parameters) {
      const operation = model.operations[action];
      if (!operation)
        return [
          { code: 'InvalidAction', message: `The action ${action} is not valid for this web service.` },
        ];
      const problems: Problem[] = [];
      const tree = nest(parameters);
      if (operation.input) checkShape(model, operation.input.shape, tree, '', problems);
      else if (Object.keys(tree).length > 0)
        problems.push({ code: 'UnknownParameter', message: `${action} takes no parameters` });
      return problems;
    },
    checkAnswer(action, answer) {
      const problems: string[] = [];
      const output = model.operations[action]?.output?.shape;
      const children = answer.children.filter(
        ({ name }) => name !== 'requestId' && (output || name !== 'return'),
      );
      const members = output ? { ...answer, children } : answer;
      if (output) checkElement(model, output, members, action, problems);
      else for (const { name } of children) problems.push(`${action}.${name} is not published`);
      return problems;
    },
  };
}

/** Values that the words of the published model name and its lists do not: a gateway that is attached is `available`. */
const alsoKnown: Record<string, string[]> = { AttachmentStatus: ['available'] };

function checkElement(
  model: ServiceModel,
  name: string,
  element: Element,
  at: string,
  problems: string[],
): void {
  const shape = model.shapes[name];
  if (!shape) throw new Error(`the published model has no shape ${name}`);
  const { text } = element;
  const bad = (what: string) => problems.push(`${at} is ${JSON.stringify(text)}, ${what}`);
  if (shape.type === 'structure') {
    const members = new Map(
      Object.entries(shape.members ?? {}).map(([key, member]) => [member.locationName ?? key, member]),
    );
    for (const inner of element.children) {
      const member = members.get(inner.name);
      if (member) checkElement(model, member.shape, inner, `${at}.${inner.name}`, problems);
      else problems.push(`${at}.${inner.name} is not published`);
    }
  } else if (shape.type === 'list') {
    for (const inner of element.children)
      if (inner.name === (shape.member?.locationName ?? 'member'))
        checkElement(model, shape.member?.shape ?? '', inner, at, problems);
      else problems.push(`${at}.${inner.name} is not published`);
  } else if (element.children.length > 0) bad('a structure where a value should be');
  else if ((shape.type === 'integer' || shape.type === 'long') && !/^-?\d+$/.test(text)) bad('no integer');
  else if (shape.type === 'boolean' && text !== 'true' && text !== 'false') bad('neither true nor false');
  else if (shape.type === 'timestamp' && Number.isNaN(Date.parse(text))) bad('no time');
  else if (
    shape.type === 'string' &&
    shape.enum &&
    !shape.enum.includes(text) &&
    !alsoKnown[name]?.includes(text)
  )
    bad('none of the known values');
}

type Nested = string | { [key: string]: Nested };

/** `Filter.1.Name=a` → `{Filter: {1: {Name: 'a'}}}`. */
function nest(parameters: Iterable<[string, string]>): { [key: string]: Nested } {
  const root: { [key: string]: Nested } = {};
  for (const [key, value] of parameters) {
    const path = key.split('.');
    let at = root;
    for (const step of path.slice(0, -1)) {
      const next = at[step];
      const inner = typeof next === 'object' ? next : {};
      at[step] = inner;
      at = inner;
    }
    at[path.at(-1) ?? key] = value;
  }
  return root;
}

/** The EC2 protocol's name of a member: `queryName`, else the location name with its first letter in upper case. */
function wireName(name: string, member: Member): string {
  if (member.queryName) return member.queryName;
  const location = member.locationName ?? name;
  return location.charAt(0).toUpperCase() + location.slice(1);
}

function checkShape(model: ServiceModel, name: string, value: Nested, at: string, problems: Problem[]): void {
  const shape = model.shapes[name];
  if (!shape) throw new Error(`the published model has no shape ${name}`);
  const bad = (code: string, message: string) => problems.push({ code, message });
  const invalid = (why: string) =>
    bad(
      'InvalidParameterValue',
      `Value (${typeof value === 'string' ? value : '…'}) for parameter ${at} is invalid. ${why}`,
    );
  if (shape.type === 'structure') {
    if (typeof value !== 'object') return void invalid('A structure is expected');
    const byWire = new Map(
      Object.entries(shape.members ?? {}).map(([key, member]) => [wireName(key, member), member]),
    );
    for (const [key, inner] of Object.entries(value)) {
      const path = at ? `${at}.${key}` : key;
      const member = byWire.get(key);
      if (member) checkShape(model, member.shape, inner, path, problems);
      else bad('UnknownParameter', `The parameter ${path} is not recognized`);
    }
    for (const key of shape.required ?? []) {
      const wire = wireName(key, shape.members?.[key] ?? { shape: '' });
      if (value[wire] === undefined)
        bad('MissingParameter', `The request must contain the parameter ${at ? `${at}.` : ''}${wire}`);
    }
    return;
  }
  if (shape.type === 'list') {
    if (typeof value !== 'object') return void invalid('A list is expected');
    const entries = Object.entries(value);
    if (shape.max !== undefined && entries.length > shape.max) invalid(`At most ${shape.max} are allowed`);
    for (const [index, inner] of entries) {
      if (/^\d+$/.test(index))
        checkShape(model, shape.member?.shape ?? '', inner, `${at}.${index}`, problems);
      else bad('UnknownParameter', `The parameter ${at}.${index} is not recognized`);
    }
    return;
  }
  if (typeof value !== 'string') return void invalid('A single value is expected');
  if (shape.type === 'integer' || shape.type === 'long') {
    if (!/^-?\d+$/.test(value)) invalid('An integer is expected');
    else if (shape.min !== undefined && Number(value) < shape.min) invalid(`The least is ${shape.min}`);
    else if (shape.max !== undefined && Number(value) > shape.max) invalid(`The most is ${shape.max}`);
  } else if (shape.type === 'boolean') {
    if (value !== 'true' && value !== 'false') invalid('true or false is expected');
  } else if (shape.type === 'string') {
    if (shape.enum && !shape.enum.includes(value))
      invalid(`It is not one of the ${shape.enum.length} known values`);
    if (shape.max !== undefined && value.length > shape.max)
      invalid(`At most ${shape.max} characters are allowed`);
    if (shape.min !== undefined && value.length < shape.min)
      invalid(`At least ${shape.min} characters are needed`);
    if (shape.pattern && !new RegExp(`^(?:${shape.pattern})$`, 'u').test(value))
      invalid(`It must match ${shape.pattern}`);
  }
}
