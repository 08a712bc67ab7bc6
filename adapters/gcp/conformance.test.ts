import { resized, simulatedGcp } from '../../test/simulators/gcp/subject.ts';
import { conformanceSuite } from '../conformance/suite.ts';

conformanceSuite('simulated Google Cloud', () => simulatedGcp(), {
  testMs: 60_000,
  cancelMs: 1000,
  resize: resized,
});
