import type { InstanceDetails } from '@landfall/adapters/contract.ts';

/** `virDomainState`, as far as it matters here. */
export type DomainState = 'running' | 'paused' | 'stopping' | 'off' | 'crashed';

export interface DomainStatistics {
  name: string;
  state: DomainState;
  metrics: NonNullable<InstanceDetails['metrics']>;
}

const states: Record<string, DomainState> = {
  '1': 'running',
  '2': 'running',
  '3': 'paused',
  '4': 'stopping',
  '5': 'off',
  '6': 'crashed',
  '7': 'paused',
};

/** Reads `virsh domstats`: by domain name. Counters QEMU does not give are left out. */
export function readStatistics(text: string): Map<string, DomainStatistics> {
  const found = new Map<string, DomainStatistics>();
  for (const block of text.split(/^Domain: /m).slice(1)) {
    const name = /^'(.*)'/.exec(block)?.[1];
    if (name === undefined) continue;
    const values = new Map<string, string>();
    for (const [, key, value] of block.matchAll(/^\s+([\w.-]+)=(.*)$/gm))
      values.set(key as string, value as string);
    found.set(name, {
      name,
      state: states[values.get('state.state') ?? ''] ?? 'off',
      metrics: metricsOf(values),
    });
  }
  return found;
}

function metricsOf(values: Map<string, string>): DomainStatistics['metrics'] {
  const one = (key: string) => (values.has(key) ? Number(values.get(key)) : undefined);
  const sum = (pattern: RegExp) => {
    const matching = [...values].filter(([key]) => pattern.test(key));
    return matching.length === 0
      ? undefined
      : matching.reduce((total, [, value]) => total + Number(value), 0);
  };
  const [available, unused, rss] = [one('balloon.available'), one('balloon.unused'), one('balloon.rss')];
  const memoryKiB = available !== undefined && unused !== undefined ? available - unused : rss;
  const cpuNanoseconds = one('cpu.time');
  const metrics = {
    cpuSeconds: cpuNanoseconds === undefined ? undefined : cpuNanoseconds / 1e9,
    memoryMiB: memoryKiB === undefined ? undefined : Math.round(memoryKiB / 1024),
    diskReadBytes: sum(/^block\.\d+\.rd\.bytes$/),
    diskWriteBytes: sum(/^block\.\d+\.wr\.bytes$/),
    netRxBytes: sum(/^net\.\d+\.rx\.bytes$/),
    netTxBytes: sum(/^net\.\d+\.tx\.bytes$/),
  };
  return Object.fromEntries(Object.entries(metrics).filter(([, value]) => value !== undefined));
}
