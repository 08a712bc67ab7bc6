/** A machine that exists, as rules about other machines, limits and compliance see it: `resource` in CEL. */
export interface EstateMachine {
  id: string;
  name: string;
  project: string;
  organization: string;
  labels: Record<string, string>;
  /** As in the API: `Running`, `Stopped`, `Provisioning`, … */
  state: string;
  site: string;
  provider: string;
  region: string;
  zone: string | null;
  host: string | null;
  instanceType: string;
  market: string;
  architecture: string;
  gpuName: string | null;
  gpuCount: number;
  vcpus: number;
  memoryGiB: number;
  diskGiB: number;
  pricePerHour: number;
  publicAddress: boolean;
  /** ISO time. */
  createdAt: string;
  /** The rules that its own request brought, as they were given. */
  rules?: readonly unknown[] | null;
}
