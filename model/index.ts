/** The unified resource model: types and client generated from openapi.yaml, which is the source. */
import createFetchClient, { type Client } from 'openapi-fetch';
import type { components, operations, paths } from './generated/api.ts';

export type { EstateMachine } from './estate.ts';
export type { components, operations, paths };
export type Schemas = components['schemas'];
export type Instance = Schemas['Instance'];
export type InstanceSpec = Schemas['InstanceSpec'];
export type NewInstanceSpec = Schemas['NewInstanceSpec'];
export type InstanceStatus = Schemas['InstanceStatus'];
export type Operation = Schemas['Operation'];
export type Decision = Schemas['Decision'];
export type Offer = Schemas['Offer'];
export type Site = Schemas['Site'];
export type Host = Schemas['Host'];
export type Image = Schemas['Image'];
export type SshKey = Schemas['SshKey'];
export type Policy = Schemas['Policy'];
export type Event = Schemas['Event'];
export type Problem = Schemas['Problem'];
export type AuditReport = Schemas['AuditReport'];
export type Role = Schemas['Role'];

export type LandfallClient = Client<paths>;

/** A typed client of a broker. `token` is sent as a bearer token and never put in a URL. */
export function createClient(options: {
  url: string;
  token?: string;
  userAgent?: string;
  fetch?: typeof globalThis.fetch;
}): LandfallClient {
  const headers: Record<string, string> = {};
  if (options.token) headers.authorization = `Bearer ${options.token}`;
  if (options.userAgent) headers['user-agent'] = options.userAgent;
  return createFetchClient<paths>({ baseUrl: options.url, headers, fetch: options.fetch });
}

/** Milliseconds of a duration such as `72h`; NaN where it is not one. */
export function durationMs(duration: string): number {
  const match = /^([1-9][0-9]{0,5})(s|m|h|d)$/.exec(duration);
  if (!match) return Number.NaN;
  return Number(match[1]) * { s: 1e3, m: 6e4, h: 36e5, d: 864e5 }[match[2] as 's' | 'm' | 'h' | 'd'];
}
