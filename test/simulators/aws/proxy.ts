import { createHash } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { type FaultPlan, isDryRun, type Refusal } from './faults.ts';
import type { MotoCaller } from './moto-calls.ts';
import type { Ec2Schema, Problem } from './schema.ts';
import type { Part, Request } from './world.ts';
import { child, type Element, errorXml, items, parseXml, textAt, writeXml } from './xml.ts';

/** One EC2 request as it came in. */
export interface Call {
  action: string;
  region: string;
  parameters: Record<string, string>;
  /** What AWS's published model says against it; empty for a correct request. */
  problems: Problem[];
  /** What the model says against the answer. */
  misfits: string[];
  /** HTTP status of the answer; 0 when the connection was dropped. */
  status: number;
}

const expired = { status: 400, code: 'RequestExpired', message: 'Request has expired.' };

interface Answer {
  status: number;
  body: string;
  retryAfterMs?: number;
}

interface Parts {
  schema: Ec2Schema;
  /** Of the Security Token Service, which stands at the same address. */
  tokenSchema: Ec2Schema;
  faults: FaultPlan;
  /** What EC2 does and moto does not, in the order in which it is asked. */
  world: Part[];
  moto: MotoCaller;
  calls: Call[];
}

export interface Proxy {
  port: number;
  /** Forgets tokens, states and recorded calls. */
  clear(): void;
  close(): Promise<void>;
}

const dryRun = {
  status: 412,
  code: 'DryRunOperation',
  message: 'Request would have succeeded, but DryRun flag is set.',
};

/** The server that the SDK talks to: AWS's own rules where moto has none, then moto. */
export async function startProxy(
  { schema, tokenSchema, faults, world, moto, calls }: Parts,
  port: number,
): Promise<Proxy> {
  const tokens = new Map<string, { fingerprint: string; answer: Promise<Answer> }>();

  let turn: Promise<unknown> = Promise.resolve();

  async function handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const parameters = new URLSearchParams(Buffer.concat(chunks).toString('utf8'));
    const action = parameters.get('Action') ?? '';
    const [, region = 'us-east-1', service] =
      /Credential=[^/]+\/\d+\/([^/]+)\/([^/]+)\//.exec(request.headers.authorization ?? '') ?? [];
    const ofTokens = service === 'sts';
    const body = [...parameters].filter(([key]) => key !== 'Action' && key !== 'Version');
    const call: Call = {
      action,
      region,
      parameters: Object.fromEntries(body),
      problems: (ofTokens ? tokenSchema : schema).check(action, body),
      misfits: [],
      status: 0,
    };
    calls.push(call);
    const send = (answer: Answer) => {
      call.status = answer.status;
      const headers: Record<string, string> = {
        'content-type': 'text/xml;charset=UTF-8',
        date: new Date(faults.now()).toUTCString(),
      };
      if (answer.retryAfterMs !== undefined)
        headers['retry-after'] = String(Math.ceil(answer.retryAfterMs / 1000));
      response.writeHead(answer.status, headers);
      response.end(answer.body);
    };

    if (isExpired(request.headers['x-amz-date'], faults.now())) return send(refused(expired));
    const problem = call.problems[0];
    if (problem) return send(refused({ status: 400, ...problem }));
    const fate = faults.fate(action, parameters);
    if (fate.delayMs > 0) await sleep(fate.delayMs);
    if (fate.requestLost) return void request.socket.destroy();
    if (fate.refusal) return send(refused(fate.refusal));
    if (ofTokens) {
      const answer = await moto.send(region, parameters, service);
      const result = child(parseXml(answer.body), `${action}Result`);
      call.misfits = result ? tokenSchema.checkAnswer(action, result) : [`${action} has no result`];
      return send(answer);
    }
    const deliveries = fate.duplicate ? 2 : 1;
    const answers = await Promise.all(
      Array.from({ length: deliveries }, () => deliver(action, region, parameters)),
    );
    if (fate.responseLost) return void request.socket.destroy();
    const [answer] = answers;
    if (answer?.status === 200 && !isCatalogue(action))
      call.misfits = schema.checkAnswer(action, parseXml(answer.body));
    send(answer ?? refused({ status: 500, code: 'InternalError', message: 'no answer' }));
  }

  /** Carries a request out once per client token. */
  async function deliver(action: string, region: string, parameters: URLSearchParams): Promise<Answer> {
    const token = parameters.get('ClientToken');
    if (!token || isDryRun(parameters)) return carryOut(action, region, parameters);
    const sorted = [...parameters].map(([key, value]) => `${key}=${value}`).sort();
    const fingerprint = createHash('sha256').update(sorted.join('&')).digest('hex');
    const key = `${region}/${action}/${token}`;
    const known = tokens.get(key);
    if (known) {
      if (known.fingerprint !== fingerprint)
        return refused({
          status: 400,
          code: 'IdempotentParameterMismatch',
          message: 'The same client token was used with different parameters.',
        });
      const answer = await known.answer;
      // The token answers with the machine as it is now, a terminated one too.
      return answer.status === 200 ? refreshed(action, region, answer) : answer;
    }
    const answer = carryOut(action, region, parameters);
    tokens.set(key, { fingerprint, answer });
    // A refused request binds its token to nothing.
    if ((await answer).status !== 200) tokens.delete(key);
    return answer;
  }

  /** What changes something is done one after the other: between EC2's check and its deed nothing else happens. */
  function carryOut(action: string, region: string, parameters: URLSearchParams): Promise<Answer> {
    const request: Request = { action, region, parameters };
    if (action.startsWith('Describe')) return doIt(request);
    const answer = turn.then(() => doIt(request));
    turn = answer.catch(() => {});
    return answer;
  }

  async function doIt(request: Request): Promise<Answer> {
    const { action, region, parameters } = request;
    for (const part of world) await part.settle?.();
    for (const part of world) {
      const refusal = await part.refuse(request);
      if (refusal) return refused(refusal);
    }
    // moto makes networks in a dry run; what it checks of a machine is worth having.
    if (isDryRun(parameters) && action !== 'RunInstances') return refused(dryRun);
    for (const part of world) {
      const answer = await part.instead?.(request);
      if (answer) return { status: 200, body: writeXml(answer) };
    }
    let prepared = paged(action, parameters, faults.pageSize());
    for (const part of world)
      prepared = (await part.prepare?.({ ...request, parameters: prepared })) ?? prepared;
    const reply = await moto.send(region, prepared);
    if (reply.status !== 200 || isCatalogue(action)) return reply;
    const document = parseXml(reply.body);
    if (action === 'RunInstances') await moto.tagNetworkInterfaces(region, parameters, document);
    for (const part of world) await part.learn(request, document);
    return shown(request, document);
  }

  function shown(request: Request, document: Element): Answer {
    for (const part of world) {
      const invisible = part.show(request, document);
      if (invisible) return refused(invisible);
    }
    showTimes(document, faults.now() - Date.now());
    return { status: 200, body: writeXml(document) };
  }

  async function refreshed(action: string, region: string, answer: Answer): Promise<Answer> {
    if (action !== 'RunInstances') return answer;
    const document = parseXml(answer.body);
    for (const item of items(document, 'instancesSet')) {
      const id = textAt(item, 'instanceId') ?? '';
      const state = item.children.find((candidate) => candidate.name === 'instanceState');
      const motoState = await moto.instanceState(region, id);
      for (const part of state?.children ?? []) if (part.name === 'name') part.text = motoState;
    }
    return shown({ action, region, parameters: new URLSearchParams() }, document);
  }

  const server = createServer((request, response) => {
    handle(request, response).catch((error: unknown) => {
      if (response.headersSent) return;
      response.writeHead(500, { 'content-type': 'text/xml;charset=UTF-8' });
      response.end(errorXml('SimulatorError', String((error as Error).stack ?? error)));
    });
  });
  // Never: a client that uses a connection again at the moment it is closed would see a lost answer.
  server.keepAliveTimeout = 0;
  await new Promise<void>((resolve, reject) => {
    server.on('error', reject);
    server.listen(port, '127.0.0.1', resolve);
  });
  const address = server.address();
  return {
    port: typeof address === 'object' && address ? address.port : port,
    clear() {
      tokens.clear();
      for (const part of world) part.clear();
      calls.length = 0;
    },
    async close() {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      server.closeAllConnections();
      await closed;
    },
  };
}

/** "More than 15 minutes after the date stamp on the request, or the date stamp is more than 15 minutes in the future." */
function isExpired(signedAt: string | string[] | undefined, now: number): boolean {
  const [, year, month, day, hour, minute, second] =
    /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/.exec(String(signedAt)) ?? [];
  const signed = Date.parse(`${year}-${month}-${day}T${hour}:${minute}:${second}Z`);
  // What is not signed with a time is none of the SDK's.
  return Math.abs(now - signed) > 15 * 60_000;
}

/** Every time in an answer as EC2's clock would have it: moto's is this machine's. */
function showTimes(element: Element, skewMs: number): void {
  if (skewMs === 0) return;
  if (/^\d{4}-\d\d-\d\dT[\d:.]+(Z|\+00:00)$/.test(element.text))
    element.text = new Date(Date.parse(element.text) + skewMs).toISOString();
  for (const inner of element.children) showTimes(inner, skewMs);
}

/** Long, and nothing in it is ours to put right. */
const isCatalogue = (action: string): boolean => action.startsWith('DescribeInstanceType');

function refused(refusal: Refusal): Answer {
  return {
    status: refusal.status,
    body: errorXml(refusal.code, refusal.message),
    retryAfterMs: refusal.retryAfterMs,
  };
}

/** moto gives pages of the size asked for: asks for smaller ones in the caller's place. */
function paged(action: string, parameters: URLSearchParams, size: number | undefined): URLSearchParams {
  if (action !== 'DescribeInstances' || size === undefined || parameters.has('InstanceId.1'))
    return parameters;
  const limited = new URLSearchParams(parameters);
  limited.set('MaxResults', String(size));
  return limited;
}
