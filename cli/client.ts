/** What other clients of a broker may use of the command line: manifests, and what is done with them. */
export {
  type Candidate,
  candidatesOf,
  costWords,
  type Released,
  readPrices,
  releasable,
  requestRelease,
  whatStays,
} from './adoption.ts';
export { applyOne, inOrder } from './apply/apply.ts';
export { type Difference, renderDifferences } from './apply/compare.ts';
export { type Live, liveOf } from './apply/live.ts';
export { type ApplySession, CannotChangeError, type Outcome } from './apply/outcome.ts';
export { type Broker, body, idempotencyKey } from './connection/broker.ts';
export { adoptedThing, type Target, targetsOfManifests } from './deletion.ts';
export { CommandError, ProblemError } from './errors.ts';
export { type Manifest, manifestSubject, positionIn } from './manifests/manifest.ts';
export { parseManifests } from './manifests/read.ts';
export { renderDecision } from './output/decision.ts';
export { offerPlace } from './output/places.ts';
export { fieldOf, renderFailure } from './output/problem.ts';
export { renderWhatIf, whatIfSummary } from './output/what-if.ts';
export { ended, operationById } from './waiting.ts';
