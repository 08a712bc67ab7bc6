import { createHash } from 'node:crypto';
import { type RawBuilder, type SelectQueryBuilder, sql } from 'kysely';
import type { Database } from './database.ts';

/** What a caller asks of a list: the query parameters of the API as they came. */
export interface PageRequest {
  pageSize?: number;
  pageToken?: string;
  filter?: string;
  orderBy?: string;
}

export interface Paged<T> {
  items: T[];
  nextPageToken?: string;
}

/** A field that `filter` may name. `values` are the only ones that it can have. */
export interface FilterField {
  column: RawBuilder<unknown>;
  type: 'text' | 'uuid' | 'boolean' | 'number';
  values?: readonly string[];
}

export interface ListRules {
  /** Which list, with its scope (`instances of project web`): a token of one list is no token of another. */
  list: string;
  fields: Record<string, FilterField>;
  /** The jsonb column of labels, where the rows have one. */
  labels?: RawBuilder<unknown>;
  /** `name` must be unique within the list together with `id`, which breaks ties. */
  order: { name?: RawBuilder<unknown>; createdAt?: RawBuilder<unknown>; id: RawBuilder<unknown> };
  defaultOrder: 'name' | 'name desc' | 'createdAt' | 'createdAt desc';
}

type ListParameter = 'filter' | 'pageToken' | 'orderBy' | 'from' | 'to';

/** A list parameter that means nothing: the API answers 400 with it. */
export class PageError extends Error {
  readonly parameter: ListParameter;
  readonly value: string;
  readonly allowed: readonly string[];
  constructor(parameter: ListParameter, message: string, value: string, allowed: readonly string[] = []) {
    super(message);
    this.name = 'PageError';
    this.parameter = parameter;
    this.value = value;
    this.allowed = allowed;
  }
}

/** A field of a table, for `ListRules.fields`. */
export function field(
  column: string,
  type: FilterField['type'] = 'text',
  values?: readonly string[],
): FilterField {
  return { column: sql.ref(column), type, values };
}

/** A field inside a jsonb column, e.g. `jsonField('spec', 'image')`. */
export function jsonField(column: string, key: string, type: FilterField['type'] = 'text'): FilterField {
  return { column: sql`(${sql.ref(column)} ->> ${sql.lit(key)})`, type };
}

export interface Term {
  field: string;
  equal: boolean;
  value: string;
}

/**
 * Reads `a=b AND labels.c!=d`. A value with spaces or quotes in it is written in double quotes, with `\"` and `\\`.
 * Throws PageError.
 */
export function parseFilter(text: string): Term[] {
  const terms: Term[] = [];
  let rest = text;
  for (;;) {
    const match =
      /^\s*([A-Za-z][A-Za-z0-9]*(?:\.[-._/A-Za-z0-9]+)?)\s*(!?=)\s*(?:"((?:[^"\\]|\\["\\])*)"|([^\s"]*))\s*(?=$|\sAND\s)/.exec(
        rest,
      );
    if (!match) {
      throw new PageError(
        'filter',
        `cannot be read at position ${text.length - rest.length + 1}: terms are \`field=value\` or \`field!=value\`, joined by \` AND \``,
        text,
      );
    }
    const value = match[3] === undefined ? match[4]! : match[3].replace(/\\(["\\])/g, '$1');
    terms.push({ field: match[1]!, equal: match[2] === '=', value });
    rest = rest.slice(match[0].length);
    if (rest === '') return terms;
    rest = rest.replace(/^\sAND\s/, '');
  }
}

function condition(rules: ListRules, term: Term): RawBuilder<boolean> {
  const known = Object.hasOwn(rules.fields, term.field) ? rules.fields[term.field] : undefined;
  if (known) {
    const value = comparable(known, term);
    return term.equal
      ? sql<boolean>`${known.column} = ${value}`
      : sql<boolean>`${known.column} is distinct from ${value}`;
  }
  if (rules.labels && term.field.startsWith('labels.')) {
    const label = sql`(${rules.labels} ->> ${term.field.slice('labels.'.length)}::text)`;
    return term.equal
      ? sql<boolean>`${label} = ${term.value}::text`
      : sql<boolean>`${label} is distinct from ${term.value}::text`;
  }
  const allowed = [...Object.keys(rules.fields), ...(rules.labels ? ['labels.<key>'] : [])];
  throw new PageError(
    'filter',
    `cannot filter by \`${term.field}\`: fields here are ${allowed.join(', ')}`,
    term.field,
    allowed,
  );
}

function comparable(known: FilterField, term: Term): RawBuilder<unknown> {
  const { value } = term;
  const wrong = (what: string): never => {
    throw new PageError('filter', `\`${term.field}\` ${what}, is "${value}"`, value, known.values);
  };
  if (known.values && !known.values.includes(value)) wrong(`must be one of ${known.values.join(', ')}`);
  if (known.type === 'uuid') {
    if (!/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(value)) wrong('must be an id (a UUID)');
    return sql`${value}::uuid`;
  }
  if (known.type === 'boolean') {
    if (value !== 'true' && value !== 'false') wrong('must be true or false');
    return sql`${value}::boolean`;
  }
  if (known.type === 'number') {
    if (!/^-?[0-9]{1,15}(\.[0-9]{1,9})?$/.test(value)) wrong('must be a number');
    return sql`${value}::double precision`;
  }
  return sql`${value}::text`;
}

interface Place {
  key: string;
  id: string;
}

/** Binds a token to its list, filter and order; also catches one that was cut or altered. Scope is the query's own. */
function seal(rules: Pick<ListRules, 'list'>, page: PageRequest, orderBy: string, place: Place): string {
  return createHash('sha256')
    .update(JSON.stringify([rules.list, page.filter ?? '', orderBy, place.key, place.id]))
    .digest('base64url')
    .slice(0, 16);
}

/** An opaque token for `place`; the same text for lists that page by something of their own, such as events. */
export function writePageToken(
  rules: Pick<ListRules, 'list'>,
  page: PageRequest,
  orderBy: string,
  place: Place,
): string {
  return Buffer.from(JSON.stringify([place.key, place.id, seal(rules, page, orderBy, place)])).toString(
    'base64url',
  );
}

/** The place in a token. Throws PageError where it was not made for this list, filter and order. */
export function readPageToken(
  rules: Pick<ListRules, 'list'>,
  page: PageRequest,
  orderBy: string,
): Place | null {
  const token = page.pageToken;
  if (token === undefined) return null;
  const refuse = (): never => {
    throw new PageError(
      'pageToken',
      'is not a token of this list with this filter and order: send the `nextPageToken` as it came, with the same `filter` and `orderBy`',
      token,
    );
  };
  let parts: unknown;
  try {
    parts = JSON.parse(Buffer.from(token, 'base64url').toString('utf8'));
  } catch {
    return refuse();
  }
  if (!Array.isArray(parts) || parts.length !== 3 || !parts.every((part) => typeof part === 'string'))
    return refuse();
  const [key, id, sum] = parts as [string, string, string];
  if (sum !== seal(rules, page, orderBy, { key, id })) return refuse();
  return { key, id };
}

/**
 * One page by keyset: after the last row of the page before, in the wanted order, ties broken by id. Rows inserted or
 * deleted meanwhile neither shift nor repeat others.
 */
export async function readPage<TB extends keyof Database, O extends { id: string }, T>(
  query: SelectQueryBuilder<Database, TB, O>,
  rules: ListRules,
  page: PageRequest,
  toItem: (row: O) => T,
): Promise<Paged<T>> {
  const orderBy = page.orderBy ?? rules.defaultOrder;
  const [orderName, direction] = orderBy.split(' ') as ['name' | 'createdAt', 'desc' | undefined];
  const column = rules.order[orderName];
  if (!column) {
    throw new PageError(
      'orderBy',
      `cannot order by ${orderName} here`,
      orderBy,
      Object.keys(rules.order).filter((name) => name !== 'id'),
    );
  }
  // A time as text to the microsecond: a JavaScript Date would cut it to milliseconds and so skip or repeat rows.
  const key =
    orderName === 'createdAt'
      ? sql<string>`(${column} at time zone 'UTC')::text`
      : sql<string>`${column}::text`;
  const size = page.pageSize ?? 50;
  let rows = query
    .select(key.as('page_key'))
    .orderBy(column, direction ?? 'asc')
    .orderBy(rules.order.id, direction ?? 'asc')
    .limit(size + 1);
  for (const term of page.filter === undefined ? [] : parseFilter(page.filter))
    rows = rows.where(condition(rules, term));
  const after = readPageToken(rules, page, orderBy);
  if (after) {
    const place =
      orderName === 'createdAt' ? sql`(${after.key}::timestamp at time zone 'UTC')` : sql`${after.key}::text`;
    rows =
      direction === 'desc'
        ? rows.where(sql<boolean>`(${column}, ${rules.order.id}) < (${place}, ${after.id}::uuid)`)
        : rows.where(sql<boolean>`(${column}, ${rules.order.id}) > (${place}, ${after.id}::uuid)`);
  }
  const found = (await rows.execute()) as (O & { page_key: string })[];
  const kept = found.slice(0, size);
  const last = kept.at(-1);
  return {
    items: kept.map(toItem),
    ...(found.length > size && last
      ? { nextPageToken: writePageToken(rules, page, orderBy, { key: last.page_key, id: last.id }) }
      : {}),
  };
}
