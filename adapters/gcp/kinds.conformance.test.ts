import { simulatedGcp } from '../../test/simulators/gcp/subject.ts';
import { kindsSuite } from '../conformance/kinds.ts';

kindsSuite('simulated Google Cloud', () => simulatedGcp());
