import type { Part } from './world.ts';
import { parseXml, textAt } from './xml.ts';

/** Spot requests, which moto does not make for RunInstances: each keeps the word for its machine's end. */
export interface SpotRequests extends Part {
  /** EC2 took the machine away, and its request says by which word. */
  ended(machine: string, code: string): void;
}

export function createSpotRequests(): SpotRequests {
  /** Status codes, by machine. */
  const codes = new Map<string, string>();
  return {
    refuse: () => undefined,
    ended: (machine, code) => void codes.set(machine, code),
    async instead({ action, parameters }) {
      if (action !== 'DescribeSpotInstanceRequests') return undefined;
      if (parameters.get('Filter.1.Name') !== 'instance-id' || parameters.has('Filter.2.Name'))
        throw new Error('the simulator knows spot requests by the filter instance-id alone');
      const machine = parameters.get('Filter.1.Value.1') ?? '';
      const code = codes.get(machine);
      const item = code
        ? `<item><spotInstanceRequestId>sir-${machine.slice(2, 10)}</spotInstanceRequestId><type>one-time</type><state>${code === 'fulfilled' ? 'active' : 'closed'}</state><status><code>${code}</code></status><instanceId>${machine}</instanceId></item>`
        : '';
      return parseXml(
        `<DescribeSpotInstanceRequestsResponse><requestId>r</requestId><spotInstanceRequestSet>${item}</spotInstanceRequestSet></DescribeSpotInstanceRequestsResponse>`,
      );
    },
    learn({ action, parameters }, answer) {
      if (action === 'RunInstances' && parameters.get('InstanceMarketOptions.MarketType') === 'spot') {
        const machine = textAt(answer, 'instancesSet', 'item', 'instanceId');
        if (machine && !codes.has(machine)) codes.set(machine, 'fulfilled');
      }
      if (action === 'TerminateInstances')
        for (const [key, machine] of parameters)
          if (key.startsWith('InstanceId.') && codes.get(machine) === 'fulfilled')
            codes.set(machine, 'instance-terminated-by-user');
    },
    show: () => undefined,
    clear: () => codes.clear(),
  };
}
