import { simulatedGcp } from '../../test/simulators/gcp/subject.ts';
import { kindsSuite } from '../conformance/kinds.ts';

kindsSuite('simulated Google Cloud', () => simulatedGcp(), { testMs: 60_000, cancelMs: 1000 });
