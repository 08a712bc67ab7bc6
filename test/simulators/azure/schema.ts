/** What Azure publishes about one service: operations with their address and body, and the models of the bodies. */
export interface ServiceSchema {
  source: string;
  operations: {
    id: string;
    method: string;
    url: string;
    apiVersion: string | null;
    query: string[];
    requiredQuery: string[];
    body: { model: string; optional: boolean } | null;
    /** Statuses of success, and what the answer holds: one thing, a page with things as its `value`, or an array. */
    expect: number[] | null;
    answer: { model: string; list: 'value' | 'array' | null } | null;
  }[];
  models: Record<string, { base: string[]; props: Record<string, Property> }>;
  enums: Record<string, unknown[]>;
}

interface Property {
  $ref?: string;
  type?: string;
  enum?: string;
  items?: Property;
  additional?: Property;
  required?: boolean;
  readonly?: boolean;
}

export interface Operation {
  id: string;
  apiVersion: string | null;
  /** What is wrong with the request; the first is what Azure would name. */
  problems: { target: string; message: string }[];
  expect: number[] | null;
  /** What is wrong with an answer of success. */
  problemsOf(answer: { status: number; body?: unknown }): { target: string; message: string }[];
}

type Problems = Operation['problems'];

/** Finds the operation that a request is for and holds the request to the published schema. */
export type Checker = (request: {
  method: string;
  path: string;
  query: URLSearchParams;
  body: unknown;
}) => Operation | undefined;

export function createChecker(services: ServiceSchema[]): Checker {
  const routes = services
    .flatMap((service) =>
      service.operations
        // What Resources offers for objects of any type has no version: the type's own service says more of it.
        .filter(({ apiVersion }) => apiVersion !== null)
        .map((operation) => ({
          service,
          operation,
          pattern: patternOf(operation.url),
          literal: operation.url.replace(/\{\w+\}/g, '').length,
        })),
    )
    .sort((one, other) => other.literal - one.literal);
  return ({ method, path, query, body }) => {
    const route = routes.find(({ operation, pattern }) => operation.method === method && pattern.test(path));
    if (!route) return undefined;
    const { service, operation } = route;
    const problems: Problems = [];
    for (const name of operation.requiredQuery)
      if (!query.get(name))
        problems.push({ target: name, message: `The ${name} query parameter is required.` });
    const version = query.get('api-version');
    if (version && version !== operation.apiVersion)
      problems.push({ target: 'api-version', message: `${version} is not ${operation.apiVersion}` });
    for (const name of query.keys())
      if (!operation.query.includes(name) && name !== '$skiptoken')
        problems.push({ target: name, message: `Unknown query parameter '${name}'.` });
    if (operation.body && (body !== undefined || !operation.body.optional))
      checkModel(service, operation.body.model, body, 'parameters', problems);
    const problemsOf: Operation['problemsOf'] = ({ status, body: answered }) => {
      const found: Problems = [];
      if (operation.expect && !operation.expect.includes(status))
        found.push({ target: 'status', message: `${status} is not one of ${operation.expect}` });
      if (operation.answer && answered !== undefined) checkAnswer(service, operation.answer, answered, found);
      return found;
    };
    return {
      id: operation.id,
      apiVersion: operation.apiVersion,
      problems,
      expect: operation.expect,
      problemsOf,
    };
  };
}

/** A scope is any object; what else is named in an address has no slashes. */
function patternOf(url: string): RegExp {
  const named = url.replace(/\{(\w+)\}/g, (_, name) => (name === 'scope' ? '.+' : '[^/]+'));
  return new RegExp(`^${named}$`, 'i');
}

function checkAnswer(
  service: ServiceSchema,
  { model, list }: NonNullable<ServiceSchema['operations'][number]['answer']>,
  body: unknown,
  problems: Problems,
): void {
  const items = list === 'value' ? (body as { value?: unknown }).value : list === 'array' ? body : [body];
  if (!Array.isArray(items)) problems.push({ target: 'value', message: 'a list has to be an array' });
  else
    items.forEach((item, index) => {
      checkModel(service, model, item, list ? `[${index}]` : 'answer', problems);
    });
}

function propertiesOf(service: ServiceSchema, name: string): Record<string, Property> {
  const model = service.models[name];
  if (!model) return {};
  return Object.assign({}, ...model.base.map((base) => propertiesOf(service, base)), model.props);
}

function checkModel(
  service: ServiceSchema,
  name: string,
  value: unknown,
  at: string,
  problems: Problems,
): void {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    problems.push({ target: at, message: `${at} has to be an object of type '${name}'.` });
    return;
  }
  const known = propertiesOf(service, name);
  for (const [key, member] of Object.entries(value)) {
    // Not written in an answer.
    if (member === undefined) continue;
    const property = known[key];
    if (property) checkValue(service, property, member, `${at}.${key}`, problems);
    else
      problems.push({
        target: `${at}.${key}`,
        message: `Could not find member '${key}' on object of type '${name}'.`,
      });
  }
  for (const [key, property] of Object.entries(known))
    if (property.required && ((value as Record<string, unknown>)[key] ?? undefined) === undefined)
      problems.push({
        target: `${at}.${key}`,
        message: `Required parameter '${at}.${key}' is missing (null).`,
      });
}

function checkValue(
  service: ServiceSchema,
  property: Property,
  value: unknown,
  at: string,
  problems: Problems,
): void {
  if (value === null || value === undefined) return;
  if (property.$ref) {
    checkModel(service, property.$ref, value, at, problems);
    return;
  }
  if (property.type === 'array') {
    if (!Array.isArray(value)) problems.push({ target: at, message: `${at} has to be an array.` });
    else
      value.forEach((item, index) => {
        checkValue(service, property.items ?? {}, item, `${at}[${index}]`, problems);
      });
    return;
  }
  if (property.type === 'object') {
    if (typeof value !== 'object') problems.push({ target: at, message: `${at} has to be an object.` });
    else
      for (const [key, member] of Object.entries(value))
        checkValue(service, property.additional ?? {}, member, `${at}.${key}`, problems);
    return;
  }
  const fits =
    property.type === undefined ||
    (property.type === 'integer' ? Number.isInteger(value) : typeof value === property.type);
  if (!fits) problems.push({ target: at, message: `${at} has to be of type ${property.type}.` });
  // The sizes of the enumeration are a selection: every region has its own.
  const words = property.enum === 'VirtualMachineSizeTypes' ? undefined : service.enums[property.enum ?? ''];
  if (words && !words.some((word) => String(word).toLowerCase() === String(value).toLowerCase()))
    problems.push({ target: at, message: `The value '${value}' is not one of ${property.enum}.` });
}
