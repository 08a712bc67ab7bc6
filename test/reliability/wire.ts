import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { pause } from './estate-with.ts';

/** What becomes of one call on its way to EC2. */
export type Fate =
  /** The connection ends; EC2 never hears of it. */
  | { kind: 'requestLost' }
  /** EC2 does it; the connection ends before the answer, and after what happens meanwhile. */
  | { kind: 'answerLost'; meanwhile?: () => unknown }
  /** The connection ends at once, and the request arrives nevertheless, so much later. */
  | { kind: 'late'; ms: number }
  /** Answered with an empty set, as a list that sees nothing. */
  | { kind: 'blank' }
  /** Answered so by EC2, without effect. */
  | { kind: 'refused'; status: number; code: string }
  /** EC2 has done it; the answer waits until the promise is settled. */
  | { kind: 'answered'; meanwhile: () => unknown };

/** The line between the AWS adapter and the simulator: the simulator's own faults, for every action, and in order. */
export interface Wire {
  endpoint: string;
  /** The next `times` calls of the action meet this fate. */
  next(action: string, fate: Fate, times?: number): void;
  clear(): void;
  /** Waits for the requests that are still on their way. */
  arrived(): Promise<void>;
  close(): Promise<void>;
}

/** The set that each Describe call answers with. */
const sets: Record<string, string> = {
  DescribeInstances: 'reservationSet',
  DescribeVolumes: 'volumeSet',
  DescribeNetworkInterfaces: 'networkInterfaceSet',
  DescribeSecurityGroups: 'securityGroupInfo',
};

/** The calls that look for what exists: blank all of them, and the account looks empty. */
export const listings = Object.keys(sets);

/** EC2's own refusal of a call that the simulator would accept: its code, or nothing. */
export type Refusal = (parameters: URLSearchParams) => Promise<string | undefined>;

export async function startWire(endpoint: string, refusal: Refusal): Promise<Wire> {
  let rules: { action: string; fate: Fate; left: number }[] = [];
  const underway = new Set<Promise<unknown>>();

  function fateOf(action: string): Fate | undefined {
    const rule = rules.find((one) => one.action === action && one.left > 0);
    if (rule) rule.left -= 1;
    return rule?.fate;
  }

  async function carry(body: string, authorization: string) {
    const code = await refusal(new URLSearchParams(body));
    if (code) return { status: 400, text: errorXml(code), retryAfter: null };
    const headers = { 'content-type': 'application/x-www-form-urlencoded', authorization };
    const answer = await fetch(endpoint, { method: 'POST', headers, body });
    return {
      status: answer.status,
      text: await answer.text(),
      retryAfter: answer.headers.get('retry-after'),
    };
  }

  async function handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const body = Buffer.concat(chunks).toString('utf8');
    const action = new URLSearchParams(body).get('Action') ?? '';
    const authorization = request.headers.authorization ?? '';
    const send = (status: number, text: string, retryAfter?: string | null) => {
      response.writeHead(status, {
        'content-type': 'text/xml;charset=UTF-8',
        ...(retryAfter ? { 'retry-after': retryAfter } : {}),
      });
      response.end(text);
    };
    const fate = fateOf(action);
    switch (fate?.kind) {
      case 'requestLost':
        return void request.socket.destroy();
      case 'late': {
        request.socket.destroy();
        await pause(fate.ms);
        return void (await carry(body, authorization));
      }
      case 'blank':
        return send(
          200,
          `<${action}Response xmlns="http://ec2.amazonaws.com/doc/2016-11-15/"><requestId>blank</requestId><${sets[action]}/></${action}Response>`,
        );
      case 'refused':
        return send(fate.status, errorXml(fate.code));
      default:
    }
    // The simulator drops connections too: what it does to ours, we do to the adapter's.
    const answer = await carry(body, authorization).catch(() => undefined);
    if (fate?.kind === 'answered' || fate?.kind === 'answerLost') await fate.meanwhile?.();
    if (!answer || fate?.kind === 'answerLost') return void request.socket.destroy();
    send(answer.status, answer.text, answer.retryAfter);
  }

  const server = createServer((request, response) => {
    const handled = handle(request, response).catch(() => request.socket.destroy());
    underway.add(handled);
    void handled.finally(() => underway.delete(handled));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  if (typeof address !== 'object' || !address) throw new Error('the wire has no port');
  return {
    endpoint: `http://127.0.0.1:${address.port}`,
    next(action, fate, times = 1) {
      rules.push({ action, fate, left: times });
    },
    clear() {
      rules = [];
    },
    async arrived() {
      await Promise.all(underway);
    },
    async close() {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      server.closeAllConnections();
      await closed;
    },
  };
}

function errorXml(code: string): string {
  return `<Response><Errors><Error><Code>${code}</Code><Message>refused on the wire</Message></Error></Errors><RequestID>refused</RequestID></Response>`;
}
