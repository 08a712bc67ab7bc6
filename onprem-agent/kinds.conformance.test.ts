import { kindsSuite } from '@landfall/adapters/conformance/kinds.ts';
import { kvmSubject } from './kvm/subject.ts';

// This machine gets routes to the networks: two runs on it at once take different ones.
const octet = 20 + 2 * (process.pid % 90);
kindsSuite('KVM', kvmSubject, { testMs: 120_000, setupMs: 120_000, volumeGiB: 1, octet });
