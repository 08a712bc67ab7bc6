import { resized, simulatedAws } from '../../test/simulators/aws/subject.ts';
import { conformanceSuite } from '../conformance/suite.ts';

conformanceSuite('simulated AWS', () => simulatedAws(), { resize: resized });
