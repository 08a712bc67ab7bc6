import { resized, simulatedAzure } from '../../test/simulators/azure/subject.ts';
import { conformanceSuite } from '../conformance/suite.ts';

conformanceSuite('simulated Azure', () => simulatedAzure(), {
  testMs: 60_000,
  cancelMs: 1000,
  resize: resized,
});
