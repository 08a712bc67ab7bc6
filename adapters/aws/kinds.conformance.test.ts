import { simulatedAws } from '../../test/simulators/aws/subject.ts';
import { kindsSuite } from '../conformance/kinds.ts';

kindsSuite('simulated AWS', () => simulatedAws());
