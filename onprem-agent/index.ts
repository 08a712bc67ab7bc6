/**
 * The on-prem agent's public surface.
 *
 * - `main.ts`, `down.ts`: the programs. `agent.ts`: the agent as a function.
 * - `host/`: making a machine ready (libvirt, network, acceleration, packages).
 * - `images/`: golden images, built or downloaded once and cached.
 * - `kvm/`: the adapter contract over libvirt.
 */
export { runAgent } from './agent.ts';
export { type Acceleration, probeAcceleration } from './host/acceleration.ts';
export { missingPackages, requiredPackages } from './host/packages.ts';
export { type Host, lowerHost, type PrepareOptions, prepareHost } from './host/prepare.ts';
export {
  builtinImages,
  type GoldenImage,
  type ImageSource,
  imageCache,
  prepareImage,
} from './images/store.ts';
export { createKvmAdapter, type KvmOptions } from './kvm/adapter.ts';
export { type Capacity, hostCapacity } from './kvm/capacity.ts';
export { type AgentOptions, readOptions, usage } from './options.ts';
