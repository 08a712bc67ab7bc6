import { kindsSuite } from '@landfall/adapters/conformance/kinds.ts';
import { kvmSubject } from './kvm/subject.ts';

kindsSuite('KVM', kvmSubject, { testMs: 120_000, setupMs: 120_000, volumeGiB: 1 });
