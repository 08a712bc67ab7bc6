import type { Schemas } from '@landfall/model';
import { host } from './kind-columns.ts';
import { renderTable } from './output/table.ts';

test('hosts show how many of their GPUs are claimed, and of what model; one without shows a dash', () => {
  const size = { vcpus: 8, memoryGiB: 32, diskGiB: 100 };
  const rack = {
    name: 'rack',
    gpuName: 'A100',
    capacity: { ...size, gpus: 4 },
    claimed: { ...size, gpus: 1 },
  };
  const plain = {
    name: 'plain',
    gpuName: null,
    capacity: { ...size, gpus: 0 },
    claimed: { ...size, gpus: 0 },
  };
  const gpus = host.filter(({ header }) => header === 'NAME' || header === 'GPUS');
  expect(renderTable(gpus, [rack, plain] as Schemas['Host'][])).toBe(
    'NAME    GPUS\nrack    1/4 A100\nplain   -\n',
  );
});
