/** How a stack comes up and goes down: what waits for what, and what is said when a part does not come. */
import { existsSync, readFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import {
  parts as allParts,
  type Part,
  readState,
  removeRecord,
  type SupervisorRecord,
  stopLimits,
  stopSignals,
  writeRecord,
  writeState,
} from './data-directory.ts';
import { choosePort, preferredPorts } from './ports.ts';
import {
  type Cluster,
  checkExternalDatabase,
  clearStaleLock,
  databaseAnswers,
  databaseUrl,
  postgresLaunch,
  prepareCluster,
} from './postgres.ts';
import { identify } from './process-identity.ts';
import { existingParts, type Program, programLaunch } from './programs.ts';
import { agentRegistered, answers } from './readiness.ts';
import type { Stack, StackOptions } from './stack.ts';
import { type Launch, logTail, Supervised, until } from './supervise.ts';
import { pollsQueue, temporalAnswers, temporalLaunch } from './temporal.ts';
import { findTemporal } from './temporal-binary.ts';

/** The worker's task queue; workflows/steps.ts calls it mainQueue. */
const workerQueue = 'landfall';

/**
 * A part may take this long to become ready, in milliseconds. Of a part that ends again and again it is said at once; this is for a machine
 * with too much to do, where 60 s were too few once.
 */
const readyLimitMs = 180_000;

/** One stack from its first process to its last. */
export class Starting {
  readonly #options: StackOptions;
  readonly #release: () => void;
  readonly #wanted: Set<Part>;
  readonly #supervised = new Map<Part, Supervised>();
  readonly #record: SupervisorRecord;
  readonly #ports = { ...preferredPorts } as { postgres: number; temporal: number; broker: number };
  readonly #notes: string[];
  #cluster: Cluster | undefined;
  #temporal = '';
  #agentStarted = 0;

  constructor(options: StackOptions, release: () => void) {
    this.#options = options;
    this.#release = release;
    this.#notes = [...(options.notes ?? [])];
    this.#wanted = new Set(options.parts ?? existingParts());
    if (options.databaseUrl !== undefined) this.#wanted.delete('postgres');
    if (options.temporalAddress !== undefined) this.#wanted.delete('temporal');
    const supervisor = identify(process.pid);
    if (supervisor === undefined)
      throw new Error('This process does not find itself in the process table: is /proc mounted?');
    this.#record = {
      supervisor,
      parts: {},
      phase: 'starting',
      since: new Date().toISOString(),
      notes: this.#notes,
    };
  }

  async start(): Promise<Stack> {
    try {
      await this.#choosePorts();
      this.#save();
      const database = this.#startDatabase();
      const temporal = this.#startTemporal();
      const broker = database.then(() => this.#startProgram('broker', 'Broker'));
      // The worker itself waits for what the broker's first start brings.
      const worker = Promise.all([database, temporal]).then(() => this.#startProgram('worker', 'Worker'));
      const agent = Promise.all([broker, temporal]).then(() => this.#startProgram('agent', 'On-prem agent'));
      // All are waited for, or a failure would stop parts that another branch is about to start.
      const outcomes = await Promise.allSettled([database, temporal, broker, worker, agent]);
      const refused = outcomes.find((each) => each.status === 'rejected');
      if (refused !== undefined) throw refused.reason;
      this.#record.phase = 'ready';
      this.#save();
      return this.#stack();
    } catch (error) {
      this.#record.failure = (error as Error).message;
      await this.#stopAll();
      this.#record.phase = 'failed';
      this.#save();
      throw error;
    }
  }

  async #choosePorts(): Promise<void> {
    const { dataDir, ports = {} } = this.#options;
    const state = readState(dataDir);
    const taken = new Set<number>();
    for (const part of ['broker', 'postgres', 'temporal'] as const) {
      if (!this.#wanted.has(part)) continue;
      const wished = ports[part] || state.ports[part] || (ports[part] === 0 ? 0 : preferredPorts[part]);
      const port = await choosePort(wished, { taken });
      if (wished !== 0 && port !== wished) {
        this.#notes.push(`port ${wished} is taken by another program: ${part} is on ${port}`);
      }
      taken.add(port);
      this.#ports[part] = port;
      state.ports[part] = port;
    }
    writeState(dataDir, state);
  }

  get #url(): string {
    return `http://127.0.0.1:${this.#ports.broker}`;
  }

  get #databaseUrl(): string {
    return (
      this.#options.databaseUrl ??
      (this.#cluster === undefined ? '' : databaseUrl(this.#cluster, this.#ports.postgres))
    );
  }

  get #temporalAddress(): string {
    return this.#options.temporalAddress ?? `127.0.0.1:${this.#ports.temporal}`;
  }

  #save(): void {
    this.#record.url = this.#url;
    this.#record.databaseUrl = this.#databaseUrl;
    this.#record.temporalAddress = this.#temporalAddress;
    writeRecord(this.#options.dataDir, this.#record);
  }

  #step<T>(title: string, step: (note: (text: string) => void) => Promise<T>): Promise<T> {
    const { progress } = this.#options;
    return progress === undefined ? step(() => {}) : progress.run(title, step);
  }

  async #launch(part: Part, launch: () => Launch | Promise<Launch>): Promise<Supervised> {
    this.#options.signal?.throwIfAborted();
    const supervised = new Supervised({
      name: part,
      launch,
      logFile: join(this.#options.dataDir, 'logs', `${part}.log`),
      stopSignal: stopSignals[part],
      stopLimitMs: stopLimits[part],
      restart: this.#options.restart,
      log: this.#options.log,
      // Written at once: a supervisor that is killed a moment later still leaves word of what it started.
      onChange: (identity) => {
        this.#record.parts[part] = identity;
        this.#save();
      },
    });
    this.#supervised.set(part, supervised);
    await supervised.start();
    return supervised;
  }

  async #startDatabase(): Promise<void> {
    const external = this.#options.databaseUrl;
    if (external !== undefined)
      return this.#step('PostgreSQL (DATABASE_URL)', () => checkExternalDatabase(external));
    if (!this.#wanted.has('postgres')) return;
    await this.#step('PostgreSQL', async () => {
      const cluster = await prepareCluster(this.#options.dataDir);
      this.#cluster = cluster;
      this.#notes.push(...cluster.notes);
      await this.#launch('postgres', async () => {
        await clearStaleLock(cluster);
        return postgresLaunch(cluster, this.#ports.postgres);
      });
      await this.#ready('postgres');
    });
  }

  async #startTemporal(): Promise<void> {
    const external = this.#options.temporalAddress;
    if (external !== undefined) {
      await this.#step('Temporal (TEMPORAL_ADDRESS)', () => this.#ready('temporal', 10_000)).catch(
        (error: Error) => {
          throw new Error(`${error.message}. Start the Temporal at ${external}, or unset TEMPORAL_ADDRESS.`, {
            cause: error,
          });
        },
      );
      return;
    }
    if (!this.#wanted.has('temporal')) return;
    await this.#step('Temporal', async (note) => {
      this.#temporal = await findTemporal({ note, signal: this.#options.signal });
      await this.#launch('temporal', () =>
        temporalLaunch(this.#temporal, this.#options.dataDir, this.#ports.temporal),
      );
      await this.#ready('temporal');
    });
  }

  async #startProgram(part: Program, title: string): Promise<void> {
    if (!this.#wanted.has(part)) return;
    await this.#step(title, async () => {
      await this.#launch(part, () => this.#program(part));
      if (part !== 'agent') return this.#ready(part);
      this.#agentStarted = Date.now();
      const ready = this.#ready(part);
      if (this.#options.hostRequired ?? true) return ready;
      // Told in the summary: everything else is of use without the host.
      await ready.catch((error: Error) => {
        this.#options.signal?.throwIfAborted();
        this.#notes.push(
          `on-prem host: ${error.message.split('\n')[0]}; log: ${join(this.#options.dataDir, 'logs', 'agent.log')}`,
        );
      });
    });
  }

  #program(part: Program): Launch {
    const { dataDir, env, site = 'local', host = hostname() } = this.#options;
    return programLaunch(part, {
      dataDir,
      databaseUrl: this.#databaseUrl,
      temporalAddress: this.#temporalAddress,
      brokerPort: this.#ports.broker,
      url: this.#url,
      site,
      host,
      env,
    });
  }

  #token(name: 'admin' | 'agent'): string {
    const file = join(this.#options.dataDir, `${name}.token`);
    return existsSync(file) ? readFileSync(file, 'utf8').trim() : '';
  }

  async #isReady(part: Part): Promise<boolean> {
    switch (part) {
      case 'postgres':
        return this.#cluster !== undefined && databaseAnswers(this.#cluster, this.#ports.postgres);
      case 'temporal':
        return temporalAnswers(this.#temporalAddress);
      case 'broker':
        return answers(`${this.#url}/readyz`);
      case 'worker': {
        const pid = this.#supervised.get('worker')?.pid;
        return pid !== undefined && pollsQueue(this.#temporalAddress, workerQueue, pid);
      }
      case 'agent':
        return agentRegistered(
          this.#url,
          this.#token('admin'),
          this.#options.host ?? hostname(),
          this.#agentStarted,
        );
    }
  }

  async #ready(part: Part, limitMs = readyLimitMs): Promise<void> {
    const supervised = this.#supervised.get(part);
    const before = supervised?.unexpectedExits ?? 0;
    const manual = () => supervised?.restartMode === 'manual';
    const failed = () => {
      if (this.#options.signal?.aborted) return 'interrupted';
      if (supervised === undefined || supervised.pid !== undefined) return undefined;
      const exits = supervised.unexpectedExits - before;
      return exits >= 3 || (exits >= 1 && manual())
        ? `ended ${exits} times, last with ${supervised.lastExit}`
        : undefined;
    };
    try {
      await until(part, () => this.#isReady(part), { limitMs, failed });
    } catch (error) {
      if (supervised === undefined) throw error;
      const file = supervised.logFile;
      throw new Error(`${(error as Error).message}\nThe end of ${file}:\n${logTail(file)}`, { cause: error });
    }
  }

  async #stopAll(): Promise<void> {
    const refusals: Error[] = [];
    for (const part of [...allParts].reverse()) {
      await this.#supervised
        .get(part)
        ?.stop()
        .catch((error: Error) => refusals.push(error));
    }
    if (refusals.length > 0)
      throw new AggregateError(refusals, refusals.map((each) => each.message).join('\n'));
  }

  #part(part: Part): Supervised {
    const supervised = this.#supervised.get(part);
    if (supervised === undefined) throw new Error(`${part} is not a part of this stack.`);
    return supervised;
  }

  #stack(): Stack {
    const token = () => this.#token('admin');
    return {
      url: this.#url,
      get adminToken() {
        return token();
      },
      databaseUrl: this.#databaseUrl,
      temporalAddress: this.#temporalAddress,
      dataDir: this.#options.dataDir,
      notes: this.#notes,
      pids: () => {
        const pids: Partial<Record<Part, number>> = {};
        for (const [part, { pid }] of this.#supervised) if (pid !== undefined) pids[part] = pid;
        return pids;
      },
      kill: (part, signal) => this.#part(part).kill(signal),
      setRestart: (mode, part) => {
        const chosen = part === undefined ? [...this.#supervised.values()] : [this.#part(part)];
        for (const each of chosen) each.restartMode = mode;
      },
      restart: async (part) => {
        await this.#part(part).stop();
        if (part === 'agent') this.#agentStarted = Date.now();
        await this.#part(part).start();
        await this.#ready(part);
      },
      ready: (part, limitMs) => this.#ready(part, limitMs),
      unexpectedExits: (part) => this.#part(part).unexpectedExits,
      logFile: (part) => this.#part(part).logFile,
      stop: async () => {
        this.#record.phase = 'stopping';
        this.#save();
        await this.#stopAll();
        removeRecord(this.#options.dataDir);
        this.#release();
      },
    };
  }
}
