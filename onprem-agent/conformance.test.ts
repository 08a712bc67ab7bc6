import { conformanceSuite } from '@landfall/adapters/conformance/suite.ts';
import { kvmSubject } from './kvm/subject.ts';

conformanceSuite('KVM', kvmSubject, {
  testMs: 120_000,
  setupMs: 120_000,
  resize: { vcpus: 2, memoryGiB: 0.25 },
});
