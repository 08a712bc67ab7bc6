/**
 * The worker of the AWS site as a process of its own, so that a test can kill it with SIGKILL:
 *
 *   node site-process.ts <Temporal's address> <database URL> <broker id> <endpoint>
 */
import { adapterActivities } from '@landfall/adapters';
import { openStore } from '@landfall/store';
import { storeBackend } from '@landfall/workflows/site-backend.ts';
import { siteQueue } from '@landfall/workflows/steps.ts';
import { NativeConnection, Worker } from '@temporalio/worker';
import { awsAdapter } from './aws-site.ts';

const [address = '', databaseUrl = '', broker = '', endpoint = ''] = process.argv.slice(2);
const store = await openStore({ databaseUrl, poolSize: 2, migrate: false });
const worker = await Worker.create({
  connection: await NativeConnection.connect({ address }),
  taskQueue: siteQueue('aws', null),
  activities: { ...adapterActivities(awsAdapter(endpoint), storeBackend(store.db, broker)) },
});
await worker.run();
