/** Questions to a running broker: does it answer, which hosts and sites does it know. */

/** A host as the broker lists it. */
export interface HostLine {
  name: string;
  site: string;
  accel: string;
  state: string;
  lastSeenAt: string;
}

/** A site as the broker lists it. */
export interface SiteLine {
  name: string;
  spec: { provider: string };
  status: { state: string; message: string };
}

/** Whether a GET is answered with success. */
export async function answers(url: string, limitMs = 2_000): Promise<boolean> {
  try {
    const response = await fetch(url, { signal: AbortSignal.timeout(limitMs) });
    await response.arrayBuffer();
    return response.ok;
  } catch {
    return false; // not listening yet, or too slow: the caller asks again
  }
}

async function list<T>(url: string, token: string): Promise<T[]> {
  const response = await fetch(url, {
    headers: { authorization: `Bearer ${token}` },
    signal: AbortSignal.timeout(5_000),
  });
  if (!response.ok) throw new Error(`${url} answered ${response.status}`);
  return ((await response.json()) as { items: T[] }).items;
}

/** The on-prem hosts the broker knows. */
export function listHosts(url: string, token: string): Promise<HostLine[]> {
  return list<HostLine>(`${url}/v1/hosts`, token);
}

/** The sites the broker knows. */
export function listSites(url: string, token: string): Promise<SiteLine[]> {
  return list<SiteLine>(`${url}/v1/sites`, token);
}

/** Whether the agent of a host has reported since a moment. */
export async function agentRegistered(
  url: string,
  token: string,
  host: string,
  since: number,
): Promise<boolean> {
  try {
    const hosts = await listHosts(url, token);
    return hosts.some(
      (each) => each.name === host && each.state === 'Ready' && Date.parse(each.lastSeenAt) >= since,
    );
  } catch {
    return false; // the broker is between two starts: the caller asks again
  }
}
