import {
  DeleteSecurityGroupCommand,
  DescribeInstancesCommand,
  EC2Client,
  RunInstancesCommand,
  type RunInstancesCommandInput,
  StartInstancesCommand,
  StopInstancesCommand,
  TerminateInstancesCommand,
} from '@aws-sdk/client-ec2';
import { createFaultPlan } from './faults.ts';
import { type AwsSimulator, startAwsSimulator } from './index.ts';
import { parseXml, writeXml } from './xml.ts';

let aws: AwsSimulator;
let ec2: EC2Client;

beforeAll(async () => {
  aws = await startAwsSimulator();
  ec2 = new EC2Client({
    region: 'us-east-1',
    endpoint: aws.endpoint,
    credentials: { accessKeyId: 'simulated', secretAccessKey: 'simulated' },
    maxAttempts: 1,
  });
}, 300_000);
beforeEach(() => aws.reset());
afterAll(async () => {
  ec2?.destroy();
  await aws?.close();
});

const image = 'ami-01a2b3c4d5e000001';
const run = async (input: Partial<RunInstancesCommandInput> = {}): Promise<string> => {
  const answer = await ec2.send(
    new RunInstancesCommand({ ImageId: image, InstanceType: 't3.micro', MinCount: 1, MaxCount: 1, ...input }),
  );
  return answer.Instances?.[0]?.InstanceId ?? '';
};
const stateOf = async (id: string): Promise<string | undefined> => {
  const answer = await ec2.send(new DescribeInstancesCommand({ InstanceIds: [id] }));
  return answer.Reservations?.[0]?.Instances?.[0]?.State?.Name;
};
const machines = async () => (await aws.truth()).filter(({ providerKind }) => providerKind === 'instance');

describe('the simulated EC2 holds requests to what AWS publishes', () => {
  test.each<[string, Partial<RunInstancesCommandInput>]>([
    ['MissingParameter', { MinCount: undefined }],
    ['InvalidParameterValue', { InstanceType: 'zz.huge' as 't3.micro' }],
    ['InvalidParameterValue', { InstanceMarketOptions: { MarketType: 'cheap' as 'spot' } }],
    ['InvalidParameterValue', { ClientToken: 'x'.repeat(65), MaxCount: 1.5 }],
  ])('a request against it is refused as %s', async (code, input) => {
    await expect(run(input)).rejects.toMatchObject({ name: code });
    expect(aws.calls.at(-1)?.problems).not.toEqual([]);
    expect(await machines()).toEqual([]);
  });

  test('a parameter that does not exist is refused', async () => {
    const body = 'Action=DescribeInstances&Version=2016-11-15&Colour=red';
    const headers = { 'content-type': 'application/x-www-form-urlencoded' };
    const answer = await fetch(aws.endpoint, { method: 'POST', body, headers });
    expect(answer.status).toBe(400);
    expect(await answer.text()).toContain('<Code>UnknownParameter</Code>');
  });
});

describe('client tokens', () => {
  test('one token makes one machine, at the same time too', async () => {
    const ids = await Promise.all([
      run({ ClientToken: 'a' }),
      run({ ClientToken: 'a' }),
      run({ ClientToken: 'a' }),
    ]);
    expect(new Set([...ids, await run({ ClientToken: 'a' })]).size).toBe(1);
    expect(await machines()).toHaveLength(1);
  });

  test('a token with another request is a mismatch', async () => {
    await run({ ClientToken: 'a' });
    await expect(run({ ClientToken: 'a', InstanceType: 't3.small' })).rejects.toMatchObject({
      name: 'IdempotentParameterMismatch',
    });
  });

  test('a refused request leaves its token free', async () => {
    aws.faults.set({ kind: 'capacity' });
    await expect(run({ ClientToken: 'a' })).rejects.toMatchObject({ name: 'InsufficientInstanceCapacity' });
    expect(await run({ ClientToken: 'a' })).toMatch(/^i-/);
  });

  test('a token answers with its machine as it is now, dead or not', async () => {
    aws.faults.set({ kind: 'transitions', startMs: 0, terminateMs: 0 });
    const id = await run({ ClientToken: 'a' });
    await ec2.send(new TerminateInstancesCommand({ InstanceIds: [id] }));
    const again = await ec2.send(
      new RunInstancesCommand({
        ImageId: image,
        InstanceType: 't3.micro',
        MinCount: 1,
        MaxCount: 1,
        ClientToken: 'a',
      }),
    );
    expect(again.Instances?.[0]).toMatchObject({ InstanceId: id, State: { Name: 'terminated' } });
  });
});

describe('states take time', () => {
  test('a machine is pending, running, stopping, stopped, shutting down and terminated, in that order', async () => {
    aws.faults.set({ kind: 'transitions', startMs: 1500, stopMs: 1500, terminateMs: 1500 });
    const id = await run();
    const passes = async (first: string, then: string) => {
      expect(await stateOf(id)).toBe(first);
      await expect(settled(id, first)).resolves.toBe(then);
    };
    await passes('pending', 'running');
    await ec2.send(new StopInstancesCommand({ InstanceIds: [id] }));
    await expect(ec2.send(new StartInstancesCommand({ InstanceIds: [id] }))).rejects.toMatchObject({
      name: 'IncorrectInstanceState',
    });
    await passes('stopping', 'stopped');
    await ec2.send(new TerminateInstancesCommand({ InstanceIds: [id] }));
    expect(await machines()).toHaveLength(1);
    await passes('shutting-down', 'terminated');
    expect(await machines()).toEqual([]);
    await expect(ec2.send(new StartInstancesCommand({ InstanceIds: [id] }))).rejects.toMatchObject({
      name: 'IncorrectInstanceState',
    });
  });

  test('a security group stays while a machine that is still going uses it', async () => {
    aws.faults.set({ kind: 'transitions', terminateMs: 300 });
    const made = await aws.direct('us-east-1', 'CreateSecurityGroup', {
      GroupName: 'g',
      GroupDescription: 'g',
    });
    const GroupId = made.children.find(({ name }) => name === 'groupId')?.text ?? '';
    const id = await run({ SecurityGroupIds: [GroupId] });
    await ec2.send(new TerminateInstancesCommand({ InstanceIds: [id] }));
    await expect(ec2.send(new DeleteSecurityGroupCommand({ GroupId }))).rejects.toMatchObject({
      name: 'DependencyViolation',
    });
    await settled(id, 'shutting-down');
    await ec2.send(new DeleteSecurityGroupCommand({ GroupId }));
  });

  async function settled(id: string, from: string): Promise<string | undefined> {
    for (let looks = 0; looks < 200; looks += 1) {
      const state = await stateOf(id);
      if (state !== from) return state;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    return from;
  }
});

describe('faults', () => {
  test('what is created stays invisible to so many looks', async () => {
    aws.faults.set({ kind: 'lag', lists: 2 });
    aws.faults.set({ kind: 'transitions', startMs: 5000 });
    const id = await run();
    for (let look = 0; look < 2; look += 1)
      await expect(stateOf(id)).rejects.toMatchObject({ name: 'InvalidInstanceID.NotFound' });
    expect(await stateOf(id)).toBe('pending');
  });

  test('a lost request makes nothing, a lost answer makes something', async () => {
    aws.faults.set({ kind: 'requestLost' });
    await expect(run()).rejects.toThrow();
    expect(await machines()).toHaveLength(0);
    aws.faults.set({ kind: 'responseLost' });
    await expect(run()).rejects.toThrow();
    expect(await machines()).toHaveLength(1);
  });

  test('a pool has so many machines and no more', async () => {
    aws.faults.set({ kind: 'pool', instanceType: 't3.micro', free: 1 });
    await run();
    await expect(run()).rejects.toMatchObject({
      name: 'InsufficientInstanceCapacity',
      $metadata: { httpStatusCode: 500 },
    });
    await run({ InstanceType: 't3.small' });
  });

  test('quota and throttling answer as EC2 does, for as many calls as asked', async () => {
    aws.faults.set({ kind: 'quota' });
    await expect(run()).rejects.toMatchObject({
      name: 'VcpuLimitExceeded',
      $metadata: { httpStatusCode: 400 },
    });
    aws.faults.set({ kind: 'throttle', times: 2, retryAfterMs: 3000 });
    for (let call = 0; call < 2; call += 1)
      await expect(run()).rejects.toMatchObject({
        name: 'RequestLimitExceeded',
        $metadata: { httpStatusCode: 503 },
      });
    await run();
  });

  test('a seeded storm is the same storm again', () => {
    const weather = (seed: number) => {
      const plan = createFaultPlan();
      plan.set({ kind: 'storm', seed, rate: 0.5 });
      return Array.from({ length: 50 }, () => plan.fate('RunInstances', new URLSearchParams()));
    };
    expect(weather(7)).toEqual(weather(7));
    expect(weather(7)).not.toEqual(weather(8));
  });

  test('after reset the account is empty and fair again', async () => {
    aws.faults.set({ kind: 'quota', times: 5 });
    await aws.plant('us-east-1', { owner: 'somebody' });
    await aws.reset();
    expect(await aws.truth()).toEqual([]);
    expect(aws.calls).toEqual([]);
    await run();
  });
});

test('XML is read and written back as it was', () => {
  const text = '<a xmlns="x"><b>1 &amp; 2</b><c></c><set><item><d>3</d></item></set></a>';
  expect(writeXml(parseXml(`<?xml version="1.0"?>\n${text}`))).toBe(
    `<?xml version="1.0" encoding="UTF-8"?>\n${text}`,
  );
  expect(() => parseXml('<a><b></a>')).toThrow('not a whole XML document');
});
