import type { Db, Store } from '@landfall/store';
import type { Signals } from '@landfall/workflows/client.ts';
import type { Logger } from 'pino';
import type { Dispatcher } from './dispatcher.ts';
import type { EventFeed } from './event-feed.ts';
import type { BrokerMetrics } from './metrics.ts';
import type { Authenticator } from './principal.ts';

/** What handlers stand on; one per process. */
export interface BrokerParts {
  store: Store;
  db: Db;
  log: Logger;
  /** The broker id in every stamp. */
  installation: string;
  authenticator: Authenticator;
  signals: Signals;
  dispatcher: Dispatcher;
  feed: EventFeed;
  metrics: BrokerMetrics;
  /** Check every answer against the API document; on in tests. */
  validateResponses: boolean;
  /** Aborted when the broker stops: ends streams and waits. */
  closing: AbortSignal;
}
