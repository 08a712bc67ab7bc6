/**
 * Records the histories that replay.test.ts replays: `npm run generate:histories`. Run it when a workflow changes on purpose,
 * and keep the old files as long as workflows of that shape may still be running somewhere.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { changeInstance, createAudit, createComplianceRun, deleteInstance } from '@landfall/store';
import { mainQueue } from '@landfall/workflows/steps.ts';
import { Client, Connection } from '@temporalio/client';
import proto from '@temporalio/proto';
import { type SimulatedEstate, startSimulatedEstate } from '../simulated-estate.ts';

const folder = fileURLToPath(new URL('./histories/', import.meta.url));
const by = { organization: 'default', requestedBy: 'recorder', project: 'default', ifMatch: null };

async function record(estate: SimulatedEstate): Promise<void> {
  const connection = await Connection.connect({ address: estate.stack.temporalAddress });
  const client = new Client({ connection });
  const save = async (name: string, workflowId: string) => {
    const handle = client.workflow.getHandle(workflowId);
    await handle.result();
    const { History } = proto.temporal.api.history.v1;
    writeFileSync(`${folder}${name}.binpb`, History.encode(await handle.fetchHistory()).finish());
    console.log(`recorded ${name}`);
  };
  const create = await estate.request('create');
  await estate.ended(create.operation);
  await save('create', `instance/${create.id}`);
  const stop = await changeInstance(estate.db, { ...by, instance: 'create', verb: 'stop' });
  await estate.ended(stop.operation!.id);
  await save('stop', `instance/${create.id}`);
  const audit = await createAudit(estate.db, by);
  await estate.ended(audit.id);
  await save('audit', `audit/${audit.id}`);
  const compliance = await createComplianceRun(estate.db, by);
  await estate.ended(compliance.id);
  await save('compliance', `compliance/${compliance.id}`);
  await estate.signals.wakeCompliance();
  await estate.signals.wakeCompliance();
  await save('compliance-on-change', 'compliance');
  const sweep = await client.workflow.start('sweep', { taskQueue: mainQueue, workflowId: 'sweep' });
  await sweep.result();
  await save('sweep', 'sweep');
  for (const machine of estate.provider.machines.values()) machine.power = 'running';
  await client.workflow.execute('sweep', { taskQueue: mainQueue, workflowId: 'sweep-of-drift' });
  const repairing = client.workflow.getHandle(`instance/${create.id}`);
  await repairing.result();
  await save('repair', `instance/${create.id}`);
  const removal = await deleteInstance(estate.db, { ...by, instance: 'create' });
  await estate.ended(removal.operation!.id);
  await save('delete', `instance/${create.id}`);
  estate.provider.faults.responseLost = 1;
  const lost = await estate.request('lost');
  await estate.ended(lost.operation);
  await save('create-response-lost', `instance/${lost.id}`);
  estate.provider.faults.failChild = 1;
  const fallback = await estate.request('fallback');
  await estate.ended(fallback.operation);
  await save('create-fallback', `instance/${fallback.id}`);
  estate.provider.faults.unavailable = 2;
  const interrupted = await estate.request('interrupted');
  const early = await deleteInstance(estate.db, { ...by, instance: 'interrupted' });
  await estate.ended(early.operation!.id);
  await save('create-interrupted-by-delete', `instance/${interrupted.id}`);
  await connection.close();
}

mkdirSync(folder, { recursive: true });
const hosts = ['h1', 'h2'].map((name) => ({ name, vcpus: 8, memoryGiB: 32, diskGiB: 500 }));
const estate = await startSimulatedEstate({ hosts });
try {
  await record(estate);
} finally {
  await estate.close();
}
process.exit(0);
