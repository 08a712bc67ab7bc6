import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Role } from '@landfall/model';
import { type OutboxRow, openStore, type Store } from '@landfall/store';
import type { Signals } from '@landfall/workflows/client.ts';
import { pino } from 'pino';
import { assembleBroker, type Broker, type BrokerOptions } from '../assemble.ts';
import { type TestDatabase, testDatabase } from './database.ts';

/** The engine's place in tests: remembers what it was told, and can be away. */
export class RecordedSignals {
  rows: Pick<OutboxRow, 'workflow' | 'resource'>[] = [];
  away = false;

  /** Nothing is lost here: the outbox alone is tried. */
  async ensureStarted(): Promise<void> {}

  async signal(row: Omit<OutboxRow, 'id'>): Promise<void> {
    if (this.away) throw new Error('the engine is away');
    this.rows.push({ workflow: row.workflow, resource: row.resource });
  }
  async wakeCompliance(): Promise<void> {}
  async ready(): Promise<boolean> {
    return !this.away;
  }
  /** What sites have that is not ours. */
  discover: Signals['discover'] = async () => ({ items: [], complete: true });
  async readConsole(): Promise<string> {
    return 'login: ';
  }
  async close(): Promise<void> {}
}

/** What a request answered, its JSON read. */
export interface Answered {
  status: number;
  headers: Headers;
  // Tests look into answers of every kind; the response validation has checked their shape.
  body: ReturnType<typeof JSON.parse>;
}

/** A broker on a port of its own over a PostgreSQL of its own, checking its answers against the API document. */
export class TestBroker {
  readonly database: TestDatabase;
  readonly dataDir: string;
  readonly signals: RecordedSignals;
  readonly adminToken: string;
  readonly agentToken: string;
  readonly store: Store;
  readonly broker: Broker;
  readonly url: string;
  readonly logged: string[];

  private constructor(
    parts: Pick<TestBroker, 'database' | 'dataDir' | 'store' | 'broker' | 'url' | 'logged'>,
    signals: RecordedSignals,
  ) {
    this.database = parts.database;
    this.dataDir = parts.dataDir;
    this.store = parts.store;
    this.broker = parts.broker;
    this.url = parts.url;
    this.logged = parts.logged;
    this.signals = signals;
    this.adminToken = readFileSync(join(parts.dataDir, 'admin.token'), 'utf8').trim();
    this.agentToken = readFileSync(join(parts.dataDir, 'agent.token'), 'utf8').trim();
  }

  static async start(options: Pick<BrokerOptions, 'allowedOrigins'> = {}): Promise<TestBroker> {
    const database = await testDatabase();
    const dataDir = mkdtempSync(join(tmpdir(), 'landfall-data-'));
    try {
      const store = await openStore({ databaseUrl: database.url, poolSize: 20 });
      const logged: string[] = [];
      const log = pino({ level: 'info' }, { write: (line: string) => void logged.push(line) });
      const signals = new RecordedSignals();
      const broker = await assembleBroker({
        store,
        signals,
        log,
        dataDir,
        localSite: true,
        validateResponses: true,
        ...options,
      });
      const url = await broker.app.listen({ host: '127.0.0.1', port: 0 });
      return new TestBroker({ database, dataDir, store, broker, url, logged }, signals);
    } catch (error) {
      await database.end();
      throw error;
    }
  }

  async stop(): Promise<void> {
    await this.broker.stop();
    await this.store.close();
    await this.database.end();
    rmSync(this.dataDir, { recursive: true, force: true });
  }

  /** One request; `body` is sent as JSON unless it is text. */
  async call(
    method: string,
    path: string,
    options: { body?: unknown; token?: string | null; headers?: Record<string, string> } = {},
  ): Promise<Answered> {
    const headers: Record<string, string> = { ...options.headers };
    if (options.token !== null) headers.authorization ??= `Bearer ${options.token ?? this.adminToken}`;
    if (options.body !== undefined) headers['content-type'] ??= 'application/json';
    const body =
      options.body === undefined || typeof options.body === 'string'
        ? options.body
        : JSON.stringify(options.body);
    const response = await fetch(`${this.url}${path}`, { method, headers, body });
    const text = await response.text();
    const json = (response.headers.get('content-type') ?? '').includes('json');
    return {
      status: response.status,
      headers: response.headers,
      body: json && text !== '' ? JSON.parse(text) : text,
    };
  }

  async token(
    role: Role,
    more: { project?: string; organization?: string; site?: string; expiresIn?: string } = {},
  ): Promise<{ secret: string; id: string }> {
    const made = await this.call('POST', '/v1/tokens', { body: { name: `${role}-token`, role, ...more } });
    if (made.status !== 201) throw new Error(JSON.stringify(made.body));
    return made.body;
  }
}

/** The smallest instance that is valid. */
export function instanceInput(name: string, spec: Record<string, unknown> = {}) {
  return { name, spec: { image: 'tiny', vcpus: 1, memoryGiB: 0.5, ...spec } };
}
