/**
 * What the extension's start takes in VS Code's extension host, of time and memory. Each run is a new VS Code. Run it with:
 * npm run bench:extension-host
 */
import { aimMs, figures, probeExtensionHost } from '../vscode/extension-host.ts';
import { percentile } from './percentile.ts';

const RUNS = 5;

const took: number[] = [];
for (let run = 0; run < RUNS; run++) {
  const probed = await probeExtensionHost();
  took.push(probed.activationMs);
  console.log(figures(probed));
}
const median = percentile(took, 50);
console.log(
  `activation: median ${Math.round(median)} ms of ${RUNS}; aim ${aimMs} ms: ${median <= aimMs ? 'met' : 'missed'}`,
);
