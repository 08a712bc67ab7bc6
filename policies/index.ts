/**
 * The policy language and the placement engine. Pure: the only file it reads is its own price snapshot.
 * How the language works: docs/policies.md.
 */
export { Catalogue, InvalidCatalogueRow, type SourceRows } from './catalogue/catalogue.ts';
export { jurisdictionOf } from './catalogue/jurisdictions.ts';
export type { CatalogueRow, CatalogueSource } from './catalogue/rows.ts';
export { importSkyPilotCsv, type SkyPilotImport, type SkyPilotSource } from './catalogue/skypilot.ts';
export { loadSnapshot } from './catalogue/snapshot.ts';
export { OFFER_ATTRIBUTES, REQUEST_ATTRIBUTES } from './cel/schema.ts';
export { API_VERSION, type ParsedFile, parsePolicy } from './file/parse.ts';
export type { Message, Mode, ParsedPolicy, ParsedRule, PolicyTest } from './file/policy.ts';
export { formatProblem, PolicyProblems, type Problem } from './file/problems.ts';
export { type PolicyTestResult, runPolicyTests } from './file/run-tests.ts';
export { type CompiledPolicies, compilePolicies, NO_POLICIES } from './place/compiled.ts';
export { cloudTable, compareOffers, HOURS_PER_MONTH, type OfferTable } from './place/offers.ts';
export { type PlacementInput, place } from './place/place.ts';
export { describe as describeOffer } from './place/reasons.ts';
export {
  type Decision,
  type EstateMachine,
  type HostSize,
  type HostView,
  NEUTRAL_REQUEST,
  type PlacedOffer,
  type PlacementRequest,
  type RuleRecord,
  type SetAside,
  type SiteView,
} from './place/types.ts';
