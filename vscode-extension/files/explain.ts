/** Where an instance of a file would land, asked of the connected broker. */
import type { Decision, NewInstanceSpec } from '@landfall/model';
import type { PlacedOffer, Decision as PolicyDecision } from '@landfall/policies';
import { type ApplySession, body, idempotencyKey, type Manifest, manifestSubject } from 'landfall/client.ts';
import type { BrokerConnection } from '../broker/connection.ts';
import type { PlacementExplanation } from '../language/protocol.ts';
import type { RegionOffer } from '../language/region-offers.ts';

/** The broker's decision on it; nothing is made. Throws what it says. */
export async function planAtBroker(
  session: ApplySession,
  { name, labels, spec, project: own }: Manifest,
  signal?: AbortSignal,
): Promise<Decision> {
  const { client, project } = session.brokerFor(own);
  return body(
    client.POST('/v1/projects/{project}/placements', {
      params: { path: { project }, header: idempotencyKey() },
      body: { name, labels, spec: spec as NewInstanceSpec },
      signal,
    }),
  );
}

/** The same with what it was made from. */
export async function explainAtBroker(
  { context }: BrokerConnection,
  session: ApplySession,
  manifest: Manifest,
): Promise<PlacementExplanation> {
  const decision = await planAtBroker(session, manifest);
  return {
    subject: manifestSubject(manifest),
    // The same document: the API says less of its types.
    decision: decision as PolicyDecision,
    regions: regionsOf(decision),
    unreadable: [],
    madeFrom: `Asked of ${context.name} (${context.url}): by its prices, the policies in force there for project ${manifest.project ?? context.project}, and what its sites have room for.`,
    atBroker: true,
  };
}

/** What was decided of a request when it was made, as the broker keeps it. */
export async function explainRecorded(
  { client, context }: BrokerConnection,
  project: string,
  name: string,
  id: string,
): Promise<PlacementExplanation> {
  const path = { project, decision: id };
  const decision = await body(
    client.GET('/v1/projects/{project}/decisions/{decision}', { params: { path } }),
  );
  return {
    subject: `instance/${name}`,
    decision: decision as PolicyDecision,
    regions: regionsOf(decision),
    unreadable: [],
    madeFrom: `As ${context.name} (${context.url}) decided it for project ${project}, by the prices and policies of that time.`,
    atBroker: true,
  };
}

/** `eu/residency` in its parts. */
export function ruleNamed(name: string): { policy: string; rule: string } {
  const slash = name.indexOf('/');
  return { policy: name.slice(0, slash), rule: name.slice(slash + 1) };
}

/** What policies of files would make of a recorded request, as the broker would decide it then. */
export async function explainChange(
  { client, context }: BrokerConnection,
  policies: { source: string; file: string }[],
  files: Record<string, string>,
  decision: string,
): Promise<PlacementExplanation> {
  const answer = await body(
    client.POST('/v1/policies/whatIf/explanation', {
      params: { header: idempotencyKey() },
      body: { decision, policies },
    }),
  );
  const { project, name, from, why, placement } = answer;
  const named = [...answer.rules, ...answer.allows, ...answer.approvals].map(ruleNamed);
  return {
    subject: `instance/${name}`,
    decision: placement as PolicyDecision,
    regions: regionsOf(placement),
    unreadable: [],
    madeFrom: `As ${context.name} (${context.url}) would decide it for project ${project} if ${Object.keys(files).join(', ')} were in force. Nothing was changed.`,
    atBroker: true,
    change: {
      recorded: { project, name, id: decision },
      from: from as PlacedOffer | null,
      why,
      rules: named,
      files,
    },
  };
}

/** The best of the offers that a decision names, by region. */
function regionsOf({ winner, fallbacks }: Decision): RegionOffer[] {
  const best = new Map<string, RegionOffer>();
  for (const { provider, region, instanceType, pricePerHour } of winner ? [winner, ...fallbacks] : [])
    if (!best.has(`${provider} ${region}`))
      best.set(`${provider} ${region}`, { provider, region, instanceType, pricePerHour });
  return [...best.values()];
}
