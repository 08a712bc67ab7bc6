import type { Db } from '@landfall/store';
import { instanceCounts, runningInstanceMetrics } from '@landfall/store/lists.ts';
import { violationCounts } from '@landfall/store/violations.ts';
import type { Logger } from 'pino';
import { collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';
import type { Dispatcher } from './dispatcher.ts';

/** Instances whose guests' figures are exposed; more would make a scrape heavy. */
const mostGuests = 1_000;

/** What `/metrics` tells. */
export interface BrokerMetrics {
  registry: Registry;
  /** Duration of every answered request. */
  http: Histogram<'operation' | 'status'>;
  /** The text of a scrape. Without the database it has what the process knows. */
  scrape(): Promise<string>;
}

export function brokerMetrics(db: Db, dispatcher: Dispatcher, log: Logger): BrokerMetrics {
  const registry = new Registry();
  const registers = [registry];
  collectDefaultMetrics({ register: registry });
  const http = new Histogram({
    name: 'landfall_http_request_duration_seconds',
    help: 'Time to answer a request.',
    labelNames: ['operation', 'status'] as const,
    buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10],
    registers,
  });
  const up = new Gauge({ name: 'landfall_database_up', help: '1 while the database answers.', registers });
  const depth = new Gauge({
    name: 'landfall_outbox_rows',
    help: 'Committed changes that wait for their workflow to be woken.',
    registers,
  });
  const lag = new Gauge({
    name: 'landfall_outbox_oldest_seconds',
    help: 'Age of the oldest of them.',
    registers,
  });
  const instances = new Gauge({
    name: 'landfall_instances',
    help: 'Instances by project and state.',
    labelNames: ['project', 'state'],
    registers,
  });
  const violations = new Gauge({
    name: 'landfall_violations',
    help: 'Machines against a rule now, by policy, its mode, and the state of the violation.',
    labelNames: ['policy', 'mode', 'state'],
    registers,
  });
  const guests = new Gauge({
    name: 'landfall_instance_metric',
    help: 'What the guest of a running instance last reported.',
    labelNames: ['project', 'instance', 'metric'],
    registers,
  });

  return {
    registry,
    http,
    async scrape() {
      try {
        const [waiting, counts, standing, running] = await Promise.all([
          dispatcher.depth(),
          instanceCounts(db),
          violationCounts(db),
          runningInstanceMetrics(db, mostGuests),
        ]);
        up.set(1);
        depth.set(waiting.rows);
        lag.set(waiting.oldestMs / 1_000);
        instances.reset();
        for (const { project, state, count } of counts) instances.set({ project, state }, count);
        violations.reset();
        for (const { policy, mode, state, count } of standing) violations.set({ policy, mode, state }, count);
        guests.reset();
        for (const { project, name, metrics } of running) {
          for (const [metric, value] of Object.entries(metrics))
            guests.set({ project, instance: name, metric }, value);
        }
      } catch (error) {
        up.set(0);
        log.warn({ err: error }, 'a scrape had to do without the database');
      }
      return registry.metrics();
    },
  };
}
