/**
 * How long the extension's tree takes to open a project of 10,000 instances after their data is there, to show all of them,
 * and from an event to the row that it changes. The broker and its database are real. Run it with:
 * npm run bench:estate-tree
 */
import { BrokerConnection } from '../../vscode-extension/broker/connection.ts';
import { Estate } from '../../vscode-extension/estate/estate.ts';
import { ProjectsTree } from '../../vscode-extension/estate/projects-tree.ts';
import type { TreeNode } from '../../vscode-extension/estate/tree.ts';
import { WorkedBroker } from '../worked-broker.ts';
import { percentile } from './percentile.ts';

const INSTANCES = 10_000;
const RUNS = 20;
const group: TreeNode = {
  id: 'project/vast/Instance',
  label: 'Instances',
  icon: 'vm',
  context: 'group Instance',
  opens: 'closed',
};

const broker = await WorkedBroker.start();
try {
  await broker.api.call('POST', '/v1/projects', { body: { name: 'vast' } });
  await broker.fill('vast', INSTANCES);
  const estate = new Estate(
    new BrokerConnection(
      { name: 'bench', url: broker.api.url, project: 'vast', from: 'settings' },
      { token: async () => broker.api.adminToken, refused: () => undefined },
    ),
  );
  estate.open();
  const list = estate.instances('vast');
  const reading = performance.now();
  await list.load();
  while (list.more) await list.loadMore();
  const read = performance.now() - reading;

  const first: number[] = [];
  for (let run = 0; run < RUNS; run++) {
    const tree = new ProjectsTree(estate, 'vast');
    const started = performance.now();
    await tree.children(group);
    first.push(performance.now() - started);
  }
  const tree = new ProjectsTree(estate, 'vast');
  let nodes = await tree.children(group);
  while (nodes.at(-1)?.more) {
    await nodes.at(-1)!.more!();
    nodes = await tree.children(group);
  }
  const whole: number[] = [];
  for (let run = 0; run < RUNS; run++) {
    const started = performance.now();
    await tree.children(group);
    whole.push(performance.now() - started);
  }
  const changes: number[] = [];
  let changed = (): void => undefined;
  tree.listen(({ nodes: rows }) => {
    if (rows.length > 0) changed();
  });
  for (let run = 0; run < RUNS; run++) {
    const one = list.items()[run * 400]!;
    const shown = new Promise<void>((resolve) => {
      changed = resolve;
    });
    const started = performance.now();
    await broker.report({ ...one, operation: '' }, { state: run % 2 ? 'Running' : 'Stopped' });
    await shown;
    changes.push(performance.now() - started);
  }
  estate.close();
  const ms = (of: number[]): string =>
    `p50 ${percentile(of, 50).toFixed(1)} ms, p95 ${percentile(of, 95).toFixed(1)} ms`;
  process.stdout.write(
    [
      `${INSTANCES.toLocaleString('en-US')} instances, read in ${Math.round(read)} ms`,
      `opened, 500 rows: ${ms(first)}`,
      `all rows:         ${ms(whole)}`,
      `a change elsewhere to its row: ${ms(changes)}`,
      '',
    ].join('\n'),
  );
} finally {
  await broker.stop();
}
