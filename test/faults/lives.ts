import type { LandfallClient, Schemas } from '@landfall/model';

/** What became of everything the harness asked for. */
export interface LifeCounts {
  accepted: number;
  ended: number;
  succeeded: number;
  failed: string[];
  lost: string[];
  doubled: string[];
}

export interface LifeOptions {
  client: LandfallClient;
  name: string;
  spec: Schemas['NewInstanceSpec'];
  counts: LifeCounts;
  /** Machines at the provider that carry this resource's stamp, by other eyes than the adapter's. */
  machinesOf(resource: string): Promise<number>;
  /** Seconds an accepted operation may take, kills and all. */
  limitSeconds: number;
  /** Between create and delete, some lives also stop and start. */
  withStop: boolean;
}

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

/** Calls until the broker answers something it means: it may be dead, starting, or without its database. */
async function persist<T extends { response: Response }>(call: () => Promise<T>): Promise<T> {
  for (;;) {
    try {
      const answer = await call();
      // 409 with Retry-After: a broker that was killed had this very request in hand.
      const isHeld = answer.response.status === 409 && answer.response.headers.has('retry-after');
      if (answer.response.status < 500 && !isHeld) return answer;
    } catch {
      // Refused or cut off: the process was killed. That is the point.
    }
    await pause(100);
  }
}

async function endOf(
  options: LifeOptions,
  operation: Schemas['Operation'],
): Promise<Schemas['Operation'] | undefined> {
  options.counts.accepted++;
  const deadline = Date.now() + options.limitSeconds * 1000;
  while (Date.now() < deadline) {
    const { data } = await persist(() =>
      options.client.GET('/v1/operations/{operation}', {
        params: { path: { operation: operation.id }, query: { wait: 2 } },
      }),
    );
    if (data && data.state !== 'Pending' && data.state !== 'Running') {
      options.counts.ended++;
      if (data.state === 'Succeeded') options.counts.succeeded++;
      else
        options.counts.failed.push(`${operation.verb} ${options.name}: ${data.state} ${data.message ?? ''}`);
      return data;
    }
    await pause(50);
  }
  options.counts.lost.push(
    `${operation.verb} ${options.name} (operation ${operation.id}) did not end within ${options.limitSeconds} s`,
  );
  return undefined;
}

/** One instance from create to delete, whatever is killed meanwhile. */
export async function live(options: LifeOptions): Promise<void> {
  const { client, name, spec } = options;
  const project = 'default';
  const created = await persist(() =>
    client.POST('/v1/projects/{project}/instances', {
      params: { path: { project }, header: { 'Idempotency-Key': `create-${name}` } },
      body: { name, spec },
    }),
  );
  // A request whose answer was lost may have been committed: the name then exists, and its operation is found by it.
  const operation =
    created.data && 'verb' in created.data ? created.data : await operationOf(options, 'create');
  if (!operation) throw new Error(`${name}: not accepted: ${JSON.stringify(created.error)}`);
  const end = await endOf(options, operation);
  const resource = operation.resource!.id;
  if (end?.state === 'Succeeded') {
    const machines = await options.machinesOf(resource);
    if (machines !== 1)
      options.counts.doubled.push(`${name} has ${machines} machines after its create succeeded`);
    if (options.withStop) for (const verb of ['stop', 'start'] as const) await act(options, verb);
  }
  const deleted = await persist(() =>
    client.DELETE('/v1/projects/{project}/instances/{instance}', {
      params: { path: { project, instance: resource }, header: { 'If-Match': '*' } },
    }),
  );
  const deletion = deleted.data ?? (await operationOf(options, 'delete', resource));
  if (deletion) await endOf(options, deletion);
  else if (deleted.response.status !== 404)
    options.counts.lost.push(`delete ${name}: ${JSON.stringify(deleted.error)}`);
}

async function act(options: LifeOptions, verb: 'stop' | 'start'): Promise<void> {
  const answer = await persist(() =>
    options.client.POST(`/v1/projects/{project}/instances/{instance}/${verb}`, {
      params: { path: { project: 'default', instance: options.name } },
    }),
  );
  if (answer.data) await endOf(options, answer.data);
  else options.counts.failed.push(`${verb} ${options.name}: ${JSON.stringify(answer.error)}`);
}

async function operationOf(
  options: LifeOptions,
  verb: 'create' | 'delete',
  resource?: string,
): Promise<Schemas['Operation'] | undefined> {
  const { data } = await persist(() =>
    options.client.GET('/v1/operations', { params: { query: { pageSize: 500, filter: `verb=${verb}` } } }),
  );
  return data?.items.find((item) =>
    resource ? item.resource?.id === resource : item.resource?.name === options.name,
  );
}
