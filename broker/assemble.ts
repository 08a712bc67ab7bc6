import type { Store } from '@landfall/store';
import type { Signals } from '@landfall/workflows/client.ts';
import type { FastifyInstance } from 'fastify';
import type { Logger } from 'pino';
import type { BrokerParts } from './broker.ts';
import { wakeCompliance } from './compliance-waker.ts';
import { Connections } from './connections.ts';
import type { NamedOrigin } from './cross-origin.ts';
import { startDispatcher } from './dispatcher.ts';
import { EventFeed } from './event-feed.ts';
import { firstStart } from './first-start.ts';
import { watchHosts } from './host-watch.ts';
import { brokerMetrics } from './metrics.ts';
import { Authenticator } from './principal.ts';
import { brokerServer } from './server.ts';

export interface BrokerOptions {
  store: Store;
  signals: Signals;
  log: Logger;
  /** Where `admin.token` and `agent.token` are kept. */
  dataDir: string;
  /** Whether this machine is a site. */
  localSite: boolean;
  /** Of web pages that may read what the broker answers; none by default. */
  allowedOrigins?: readonly NamedOrigin[];
  validateResponses?: boolean;
}

/** A whole broker, not yet listening. */
export interface Broker {
  app: FastifyInstance;
  parts: BrokerParts;
  /** Stops accepting, ends streams, lets requests finish for up to five seconds, and ends the dispatcher. */
  stop(): Promise<void>;
}

const finishWithinMs = 5_000;

/** Puts a broker together over an open store; the caller closes store and signals after `stop`. */
export async function assembleBroker(options: BrokerOptions): Promise<Broker> {
  const { store, signals, log } = options;
  const closing = new AbortController();
  const installation = await firstStart(store.db, { dataDir: options.dataDir, localSite: options.localSite });
  const dispatcher = startDispatcher(store, signals, log, closing.signal);
  const waker = wakeCompliance(store, signals, log, closing.signal);
  const hosts = watchHosts(store, log, closing.signal);
  const parts: BrokerParts = {
    store,
    db: store.db,
    log,
    installation,
    authenticator: new Authenticator(store.db, log),
    signals,
    dispatcher,
    feed: new EventFeed(store, log, closing.signal),
    metrics: brokerMetrics(store.db, dispatcher, log),
    validateResponses: options.validateResponses ?? false,
    closing: closing.signal,
  };
  const app = brokerServer(parts, options.allowedOrigins);
  const connections = new Connections(app.server);
  return {
    app,
    parts,
    async stop() {
      closing.abort();
      const overdue = setTimeout(() => connections.closeAll(), finishWithinMs);
      // A connection whose last request has just been answered would otherwise be kept alive, and waited for.
      const idle = setInterval(() => connections.closeIdle(), 50);
      await app.close();
      clearInterval(idle);
      clearTimeout(overdue);
      await Promise.all([dispatcher.stopped, waker, hosts]);
    },
  };
}
