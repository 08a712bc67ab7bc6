/** The few lines at the end of `npm run up`: where it is, what was found, what is off and why. */
import { existsSync, readFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import type { SupervisorRecord } from './data-directory.ts';
import { type HostLine, listHosts, listSites, type SiteLine } from './readiness.ts';

/** What a broker told about itself; undefined where none answers. */
export interface Findings {
  sites: SiteLine[];
  hosts: HostLine[];
}

/** Asks the broker for its sites and hosts. The note says why there is no answer. */
export async function findSites(
  url: string,
  dataDir: string,
): Promise<{ findings?: Findings; note?: string }> {
  const file = join(dataDir, 'admin.token');
  if (!existsSync(file)) return { note: 'sites: unknown, as the broker has written no admin token' };
  const token = readFileSync(file, 'utf8').trim();
  try {
    const [sites, hosts] = await Promise.all([listSites(url, token), listHosts(url, token)]);
    return { findings: { sites, hosts } };
  } catch (error) {
    return { note: `sites: unknown, the broker did not list them (${(error as Error).message})` };
  }
}

/** How a host runs its guests, in words. */
function hostWords(host: HostLine): string {
  const how = host.accel === 'kvm' ? 'KVM' : 'emulation';
  return `${host.name} (${how}${host.state === 'Ready' ? '' : `, ${host.state.toLowerCase()}`})`;
}

function siteLines(findings: Findings): string[] {
  return findings.sites.map((site) => {
    const hosts = findings.hosts.filter((each) => each.site === site.name).map(hostWords);
    // An on-prem site is what its hosts are; a cloud site says itself whether its credentials work.
    const trouble =
      site.status.state === 'Ready'
        ? ''
        : `, ${[site.status.state, site.status.message].filter(Boolean).join(': ')}`;
    return `${site.name} (${site.spec.provider}${trouble})${hosts.length > 0 ? `: ${hosts.join(', ')}` : ''}`;
  });
}

/** The path as one would type it here. */
function nearPath(path: string): string {
  const near = relative(process.cwd(), path);
  return near.startsWith('..') || near === '' ? path : near;
}

/** The summary's lines, without colours. */
export function summaryLines(options: {
  headline: string;
  dataDir: string;
  record: SupervisorRecord;
  findings?: Findings;
  extraNotes?: string[];
  brokerRuns: boolean;
  stopHint: string;
}): string[] {
  const { dataDir, record, findings, brokerRuns } = options;
  const rows: [string, string][] = [];
  if (brokerRuns) {
    rows.push(['URL', record.url ?? ''], ['API docs', `${record.url}/docs`]);
    rows.push(['token', nearPath(join(dataDir, 'admin.token'))]);
  } else {
    rows.push(['database', `on 127.0.0.1, password in ${nearPath(join(dataDir, 'postgres.password'))}`]);
  }
  rows.push(['Temporal', record.temporalAddress ?? '']);
  rows.push(['data', nearPath(dataDir)], ['logs', nearPath(join(dataDir, 'logs'))]);
  const sites = findings === undefined ? [] : siteLines(findings);
  if (findings !== undefined && sites.length === 0) sites.push('none yet');
  rows.push(...sites.map((line, index): [string, string] => [index === 0 ? 'sites' : '', line]));
  const notes = [...record.notes, ...(options.extraNotes ?? [])];
  if (findings?.hosts.some((host) => host.accel !== 'kvm')) {
    notes.push('KVM does not boot guests here: using emulation, about 10 times slower');
  }
  rows.push(...notes.map((note, index): [string, string] => [index === 0 ? 'note' : '', note]));
  rows.push(['stop', options.stopHint]);
  const width = Math.max(...rows.map(([name]) => name.length));
  return [options.headline, ...rows.map(([name, value]) => `  ${name.padEnd(width)}  ${value}`)];
}
