/**
 * The policy language and the placement engine. Pure: the only file it reads is its own price snapshot.
 * How the language works: docs/policies.md.
 */
export { bestBatch, placeBatch, placeGreedy } from './batch/place-batch.ts';
export type {
  BatchDecision,
  BatchInput,
  BatchOptions,
  BatchPlacement,
  Conflict,
  ShadowPrice,
  Unplaced,
} from './batch/types.ts';
export { warmUp as warmUpBatches } from './batch/warm-up.ts';
export { Catalogue, InvalidCatalogueRow, type SourceRows } from './catalogue/catalogue.ts';
export { gridCarbonOf, type KnownFacts, knownFact } from './catalogue/facts.ts';
export { jurisdictionOf } from './catalogue/jurisdictions.ts';
export type { CatalogueRow, CatalogueSource } from './catalogue/rows.ts';
export { importSkyPilotCsv, type SkyPilotImport, type SkyPilotSource } from './catalogue/skypilot.ts';
export { loadSnapshot } from './catalogue/snapshot.ts';
export { celResource, OFFER_ATTRIBUTES, REQUEST_ATTRIBUTES, RESOURCE_ATTRIBUTES } from './cel/schema.ts';
export { checkPolicies } from './check/check-policies.ts';
export { type ComplianceInput, judge, type Violation } from './compliance/judge.ts';
export { type PlacedMachine, type Standing, standings } from './compliance/standing.ts';
export type { Explanation } from './explain/types.ts';
export { explainPolicy, type RuleExplanation } from './file/explain.ts';
export { formatPolicy } from './file/format.ts';
export { API_VERSION, type ParsedFile, parsePolicy, parseRequestRules } from './file/parse.ts';
export type { Message, Mode, ParsedPolicy, ParsedRule, PolicyTest } from './file/policy.ts';
export { formatProblem, PolicyProblems, type Problem } from './file/problems.ts';
export { type PolicyTestResult, runPolicyTests } from './file/run-tests.ts';
export { type PolicyPack, policyPacks } from './packs.ts';
export { type Chosen, choose } from './place/choose.ts';
export { type CompiledPolicies, compilePolicies, NO_POLICIES } from './place/compiled.ts';
export { takesPlaceOf, withMachine } from './place/estate.ts';
export { namesOthers, withoutOthers } from './place/machine-words.ts';
export { cloudTable, compareOffers, HOURS_PER_MONTH, type OfferTable } from './place/offers.ts';
export { type PlacementInput, place } from './place/place.ts';
export {
  anywhere,
  type ImageReach,
  type PlacementSubject,
  placementRequest,
} from './place/placement-request.ts';
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
