import type { InstanceRow, Intent } from '@landfall/store';
import { stillFits } from './place.ts';

const row = (gpu?: { count: number }) =>
  ({ spec: { vcpus: 1, memoryGiB: 2, diskGiB: 10, gpu } }) as InstanceRow;
const intent = (gpus: number) => ({ sized_for: { vcpus: 1, memoryGiB: 2, diskGiB: 10, gpus } }) as Intent;

test('a machine fits its offer as long as it wants as many GPUs as the offer was chosen for', () => {
  expect(stillFits(row({ count: 2 }), intent(2))).toBe(true);
  expect(stillFits(row({ count: 2 }), intent(1))).toBe(false);
  expect(stillFits(row({ count: 2 }), intent(0))).toBe(false);
  expect(stillFits(row(), intent(0))).toBe(true);
});
