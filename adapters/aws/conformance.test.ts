import { resized, simulatedAws } from '../../test/simulators/aws/subject.ts';
import { conformanceSuite } from '../conformance/suite.ts';

conformanceSuite('simulated AWS', () => simulatedAws(), { testMs: 60_000, cancelMs: 1000, resize: resized });
