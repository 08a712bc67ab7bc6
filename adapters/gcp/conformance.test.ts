import { resized, simulatedGcp } from '../../test/simulators/gcp/subject.ts';
import { conformanceSuite } from '../conformance/suite.ts';

conformanceSuite('simulated Google Cloud', () => simulatedGcp(), { resize: resized });
