import type { Catalogue } from '@landfall/policies';
import type { KnownSizes, MachineSize } from './price-source.ts';

/** The sizes that a catalogue's offers of a provider have. */
export function sizesOf(catalogue: Catalogue, provider: string): KnownSizes {
  const found = new Map<string, MachineSize>();
  const { provider: providers, instanceType: types } = catalogue;
  for (let i = 0; i < catalogue.length; i++) {
    if (providers.values[providers.codes[i]!] !== provider) continue;
    const type = types.values[types.codes[i]!]!;
    if (found.has(type)) continue;
    const { vcpus, memoryGiB, architecture, gpuName, gpuCount, burstable } = catalogue.row(i);
    found.set(type, { vcpus, memoryGiB, architecture, gpuName, gpuCount, burstable });
  }
  return { of: (type) => found.get(type), types: () => found.keys() };
}

/** The regions of a provider in a catalogue, in order. */
export function regionsOf(catalogue: Catalogue, provider: string): string[] {
  const found = new Set<string>();
  const { provider: providers, region } = catalogue;
  for (let i = 0; i < catalogue.length; i++)
    if (providers.values[providers.codes[i]!] === provider) found.add(region.values[region.codes[i]!]!);
  return [...found].sort();
}
