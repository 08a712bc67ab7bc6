/**
 * What a create takes of an adapter, beside the bare SDK making the very same calls one after the other: `ensure` of a machine
 * that is not there until it runs, before a server that says at once what the provider's simulator said.
 *
 *     npm run bench:adapter-creates [-- aws azure gcp]
 */
import { setTimeout } from 'node:timers/promises';
import * as aws from '@landfall/adapters/aws/adapter.ts';
import { openAccount as openAws } from '@landfall/adapters/aws/clients.ts';
import * as azure from '@landfall/adapters/azure/adapter.ts';
import { openAccount as openAzure } from '@landfall/adapters/azure/clients.ts';
import { context } from '@landfall/adapters/conformance/probe.ts';
import type { Subject } from '@landfall/adapters/conformance/subject.ts';
import type { Adapter } from '@landfall/adapters/contract.ts';
import * as gcp from '@landfall/adapters/gcp/adapter.ts';
import { openAccount as openGcp } from '@landfall/adapters/gcp/clients.ts';
import { simulatedAws } from '../simulators/aws/subject.ts';
import { simulatedAzure } from '../simulators/azure/subject.ts';
import { simulatedGcp } from '../simulators/gcp/subject.ts';
import { beside } from './beside.ts';
import { record, replay } from './replayed.ts';

/** Creates of one round. */
const creates = 50;
/** Between two looks, in milliseconds. */
const replayedPollMs = 1;

/** One call of the SDK, to be made again. */
type Call = () => Promise<unknown>;

interface Provider {
  subject(): Promise<Pick<Subject, 'want' | 'close'> & { simulator: { endpoint: string } }>;
  /** Its adapter; `heard` is told of every call of the SDK. */
  adapter(endpoint: string, pollMs: number, heard?: (call: Call) => void): Adapter;
}

const site = 'bench';

const providers: Record<string, Provider> = {
  aws: {
    subject: simulatedAws,
    adapter(endpoint, pollMs, heard) {
      const credentials = { accessKeyId: 'simulated', secretAccessKey: 'simulated' };
      const account = openAws({ site, regions: ['us-east-1'], endpoint, credentials, pollMs });
      return aws.adapterOver({ ...account, ec2: (region) => listening(account.ec2(region), heard) });
    },
  },
  azure: {
    subject: simulatedAzure,
    adapter(endpoint, pollMs, heard) {
      const subscription = '00000000-0000-0000-0000-000000000001';
      const credentials = { token: 'simulated' };
      const account = openAzure({
        site,
        regions: ['westeurope'],
        subscription,
        endpoint,
        credentials,
        pollMs,
      });
      const { compute, network, resources } = account;
      return azure.adapterOver({
        ...account,
        compute: listening(compute, heard),
        network: listening(network, heard),
        resources: listening(resources, heard),
      });
    },
  },
  gcp: {
    subject: simulatedGcp,
    adapter(endpoint, pollMs, heard) {
      const project = 'simulated-project';
      const credentials = { accessToken: 'simulated' };
      const account = openGcp({ site, regions: ['us-central1'], project, endpoint, credentials, pollMs });
      return gcp.adapterOver({ ...account, clients: listening(account.clients, heard) });
    },
  },
};

/** An SDK's client or group of calls that tells of each call made through it. */
function listening<T extends object>(sdk: T, heard?: (call: Call) => void): T {
  if (!heard) return sdk;
  return new Proxy(sdk, {
    get(_, name) {
      const found: unknown = Reflect.get(sdk, name, sdk);
      if (typeof found === 'function')
        return (...args: unknown[]) => {
          const call = () => found.apply(sdk, args) as unknown;
          heard(() => answerOf(call()));
          return call();
        };
      return typeof found === 'object' && found !== null ? listening(found, heard) : found;
    },
  });
}

/** To its end: a promise's value, an operation's outcome with the pause between two looks that the adapters have, every page of a list. */
async function answerOf(answer: unknown): Promise<unknown> {
  if (typeof answer !== 'object' || answer === null) return answer;
  if ('poll' in answer) {
    const operation = answer as { poll(): Promise<unknown>; readonly isDone: boolean };
    await operation.poll();
    while (!operation.isDone) {
      await setTimeout(replayedPollMs);
      await operation.poll();
    }
    return operation;
  }
  if (!(Symbol.asyncIterator in answer)) return answer;
  const all: unknown[] = [];
  for await (const item of answer as AsyncIterable<unknown>) all.push(item);
  return all;
}

async function bench(name: string, provider: Provider): Promise<void> {
  const subject = await provider.subject();
  const want = subject.want('bench', 1);
  const said = await record(subject.simulator.endpoint, (endpoint) =>
    provider.adapter(endpoint, 50).ensure(want, context()),
  );
  await subject.close();

  const server = await replay(said);
  const adapter = provider.adapter(server.endpoint, replayedPollMs);
  const create = async () => {
    await server.again();
    const observed = await adapter.ensure(want, context());
    if (observed.state !== 'ready') throw new Error(`it is ${observed.state}, not ready`);
    return observed;
  };
  await create();
  await server.again();
  const calls: Call[] = [];
  await provider.adapter(server.endpoint, replayedPollMs, (call) => calls.push(call)).ensure(want, context());
  const bare = async () => {
    await server.again();
    // What is not there yet is an answer, too.
    for (const call of calls) await call().catch(() => undefined);
    return calls;
  };
  const times = (once: () => Promise<unknown>) => async () => {
    const all: unknown[] = [];
    for (let n = 0; n < creates; n += 1) all.push(await once());
    return all;
  };
  const [, adapterTook] = await beside(
    `${name}: ${creates} creates, ${calls.length} calls of the SDK each`,
    [
      { name: 'bare SDK', run: times(bare) },
      { name: 'adapter', run: times(create) },
    ],
    () => server.calls(),
  );
  console.log(
    `  ${((creates / adapterTook.wall) * 1000).toFixed(0)} creates a second one after the other, ${((creates / adapterTook.cpu) * 1000).toFixed(0)} a second of processor`,
  );
  await server.close();
}

const named = process.argv.slice(2);
for (const [name, provider] of Object.entries(providers))
  if (named.length === 0 || named.includes(name)) await bench(name, provider);
// The SDKs keep their connections.
process.exit(0);
