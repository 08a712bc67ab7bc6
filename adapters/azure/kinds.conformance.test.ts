import { simulatedAzure } from '../../test/simulators/azure/subject.ts';
import { kindsSuite } from '../conformance/kinds.ts';

kindsSuite('simulated Azure', () => simulatedAzure());
