import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { workflowBundle } from '@landfall/workflows/bundle.ts';
import proto from '@temporalio/proto';
import { Worker } from '@temporalio/worker';

const folder = fileURLToPath(new URL('./histories/', import.meta.url));
const files = readdirSync(folder).filter((name) => name.endsWith('.binpb'));

test('there are histories to replay', () => expect(files.length).toBeGreaterThanOrEqual(7));

test.each(files)(
  'running workflows of %s go on under this code',
  async (file) => {
    const history = proto.temporal.api.history.v1.History.decode(readFileSync(`${folder}${file}`));
    await Worker.runReplayHistory({ workflowBundle: await workflowBundle() }, history, file);
  },
  30_000,
);
