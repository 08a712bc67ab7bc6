import { resized, simulatedAzure } from '../../test/simulators/azure/subject.ts';
import { conformanceSuite } from '../conformance/suite.ts';

conformanceSuite('simulated Azure', () => simulatedAzure(), { resize: resized });
