import { referenceScript, referenceStyle } from './reference-assets.ts';

type Json = Record<string, unknown>;

const html = (text: unknown): string =>
  String(text).replace(/[&<>"']/g, (char) => `&#${char.charCodeAt(0)};`);

/** The little Markdown that the document's texts use: code, and lists of lines that begin with a hyphen. */
function prose(text: unknown): string {
  if (typeof text !== 'string' || text === '') return '';
  const inline = (line: string): string => html(line).replace(/`([^`]+)`/g, '<code>$1</code>');
  const items = text.trim().split('\n');
  const out: string[] = [];
  let open = false;
  for (const line of items) {
    const item = /^- (.*)/.exec(line);
    if (item && !open) out.push('<ul>');
    if (!item && open) out.push('</ul>');
    open = item !== null;
    out.push(item ? `<li>${inline(item[1]!)}</li>` : `<p>${inline(line)}</p>`);
  }
  if (open) out.push('</ul>');
  return out.join('');
}

/** The API reference as one page that loads nothing from anywhere. */
export function referencePage(document: Json): string {
  return new Reference(document).page();
}

class Reference {
  readonly #document: Json;

  constructor(document: Json) {
    this.#document = document;
  }

  page(): string {
    const info = this.#document.info as Json;
    const tags = this.#document.tags as { name: string; description: string }[];
    const operations = this.#operations();
    const schemas = Object.entries((this.#document.components as Json).schemas as Record<string, Json>);
    const sections = tags.map((tag) => {
      const own = operations.filter(({ operation }) =>
        (operation.tags as string[] | undefined)?.includes(tag.name),
      );
      return { tag, own };
    });
    const navigation = sections
      .map(
        ({ tag, own }) =>
          `<h2>${html(tag.name)}</h2>${own.map(({ id, method, operation }) => `<a href="#${html(id)}" data-text="${html(`${id} ${operation.summary}`)}"><b class="${method}">${method}</b> ${html(id)}</a>`).join('')}`,
      )
      .join('');
    const models = schemas
      .map(([name]) => `<a href="#schema-${html(name)}" data-text="${html(name)}">${html(name)}</a>`)
      .join('');
    return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>${html(info.title)} API ${html(info.version)}</title>
<style>${referenceStyle}</style></head><body>
<nav aria-label="API"><header><strong>${html(info.title)}</strong> <small>${html(info.version)}</small></header>
<input type="search" id="search" placeholder="Search (press /)" aria-label="Search the reference">
<div id="found">${navigation}<h2>schemas</h2>${models}</div></nav>
<main><h1>${html(info.title)} API</h1><p class="lead">${html(info.summary)}</p>${prose(info.description)}<p>The document itself: <a href="/openapi.json">/openapi.json</a>. Send <code>Authorization: Bearer lf_…</code>.</p>
${sections.map(({ tag, own }) => `<section><h2 class="tag">${html(tag.name)}</h2>${prose(tag.description)}${own.map((each) => this.#operation(each)).join('')}</section>`).join('')}
<section><h2 class="tag">schemas</h2>${schemas.map(([name, schema]) => `<article id="schema-${html(name)}"><h3>${html(name)}</h3>${prose(schema.description)}${this.#schema(schema)}</article>`).join('')}</section>
</main><script>${referenceScript}</script></body></html>`;
  }

  #operations(): { id: string; method: string; path: string; operation: Json; shared: Json[] }[] {
    return Object.entries(this.#document.paths as Record<string, Json>).flatMap(([path, item]) =>
      ['get', 'post', 'put', 'patch', 'delete'].flatMap((method) => {
        const operation = item[method] as Json | undefined;
        return operation
          ? [
              {
                id: String(operation.operationId),
                method,
                path,
                operation,
                shared: (item.parameters as Json[] | undefined) ?? [],
              },
            ]
          : [];
      }),
    );
  }

  #operation({
    id,
    method,
    path,
    operation,
    shared,
  }: {
    id: string;
    method: string;
    path: string;
    operation: Json;
    shared: Json[];
  }): string {
    const parameters = [...shared, ...((operation.parameters as Json[] | undefined) ?? [])].map((each) =>
      this.#resolve(each),
    );
    const body = operation.requestBody as { content: Record<string, { schema: Json }> } | undefined;
    const responses = Object.entries(operation.responses as Record<string, Json>).map(
      ([status, each]) => [status, this.#resolve(each)] as const,
    );
    const rows = parameters
      .map(
        (each) =>
          `<tr><td><code>${html(each.name)}</code>${each.required ? ' <em>required</em>' : ''}</td><td>${html(each.in)}</td><td>${this.#type(each.schema as Json)}</td><td>${prose(each.description ?? this.#resolve(each.schema as Json).description)}</td></tr>`,
      )
      .join('');
    const media = (content: unknown): string =>
      Object.entries((content as Record<string, { schema: Json }> | undefined) ?? {})
        .map(([type, { schema }]) => `<code>${html(type)}</code> ${this.#type(schema)}`)
        .join('<br>');
    return `<article id="${html(id)}" data-text="${html(`${id} ${path} ${operation.summary}`)}">
<h3><b class="${method}">${method}</b> <code>${html(path)}</code></h3><p class="id">${html(id)}</p>${prose(operation.summary)}${prose(operation.description)}
${rows ? `<h4>Parameters</h4><table>${rows}</table>` : ''}${body ? `<h4>Body</h4><p>${media(body.content)}</p>` : ''}
<h4>Answers</h4><table>${responses.map(([status, each]) => `<tr><td><code>${html(status)}</code></td><td>${prose(each.description)}</td><td>${media(each.content)}</td></tr>`).join('')}</table></article>`;
  }

  #resolve(node: Json): Json {
    if (typeof node.$ref !== 'string') return node;
    const found = node.$ref
      .slice(2)
      .split('/')
      .reduce<unknown>((at, part) => (at as Json)[part], this.#document);
    return this.#resolve(found as Json);
  }

  /** A type in a few words, with a link where it has a name. */
  #type(schema: Json): string {
    if (typeof schema.$ref === 'string') {
      const name = schema.$ref.split('/').at(-1)!;
      return `<a href="#schema-${html(name)}">${html(name)}</a>`;
    }
    const choices = (schema.oneOf ?? schema.anyOf ?? schema.allOf) as Json[] | undefined;
    if (choices) return choices.map((each) => this.#type(each)).join(schema.allOf ? ' and ' : ' or ');
    if (schema.const !== undefined) return `<code>${html(JSON.stringify(schema.const))}</code>`;
    if (schema.enum)
      return (schema.enum as unknown[]).map((each) => `<code>${html(each)}</code>`).join(' | ');
    if (schema.type === 'array') return `list of ${this.#type((schema.items as Json | undefined) ?? {})}`;
    if (schema.type === 'object' && typeof schema.additionalProperties === 'object')
      return `map of ${this.#type(schema.additionalProperties as Json)}`;
    const limits = [
      ['minimum', '≥'],
      ['exclusiveMinimum', '>'],
      ['maximum', '≤'],
      ['maxLength', 'length ≤'],
      ['maxItems', 'items ≤'],
    ]
      .filter(([key]) => schema[key!] !== undefined)
      .map(([key, sign]) => `${sign} ${schema[key!]}`);
    const fallback =
      schema.default === undefined ? '' : `, default <code>${html(JSON.stringify(schema.default))}</code>`;
    const kind = ([] as unknown[]).concat(schema.type ?? 'any').join(' or ');
    return `${html(kind)}${schema.format ? ` (${html(schema.format)})` : ''}${limits.length > 0 ? ` <small>${html(limits.join(', '))}</small>` : ''}${fallback}`;
  }

  #schema(schema: Json): string {
    const properties = schema.properties as Record<string, Json> | undefined;
    if (!properties)
      return `<p>${this.#type(schema)}${schema.pattern ? ` <code>${html(schema.pattern)}</code>` : ''}</p>`;
    const required = new Set((schema.required as string[] | undefined) ?? []);
    const rows = Object.entries(properties).map(([name, each]) => {
      const marks = [
        required.has(name) ? 'required' : '',
        each.readOnly ? 'read-only' : '',
        each.writeOnly ? 'write-only' : '',
      ].filter(Boolean);
      const inner = each.type === 'object' && each.properties ? this.#schema(each) : '';
      return `<tr><td><code>${html(name)}</code>${marks.length > 0 ? ` <em>${marks.join(', ')}</em>` : ''}</td><td>${this.#type(each)}</td><td>${prose(each.description)}${inner}</td></tr>`;
    });
    return `<table>${rows.join('')}</table>`;
  }
}
