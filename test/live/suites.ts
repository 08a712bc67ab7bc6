/**
 * The conformance suites over a real account, every kind and verb. Run by `run.ts` in a process of its own, which it watches and
 * sweeps up after; never by `npm test`.
 */
import { kindsSuite } from '@landfall/adapters/conformance/kinds.ts';
import { conformanceSuite } from '@landfall/adapters/conformance/suite.ts';
import { ledgered } from './ledger.ts';
import { conditionsOf, type Handed, openLive, suitesVariable } from './subject.ts';
import { sweep } from './sweep.ts';

const { account, ledger, watcher } = JSON.parse(process.env[suitesVariable] ?? '') as Handed;
const name = `live ${account.spec.provider}`;

const live = ledgered(await openLive(account), ledger, watcher);
const subject = async () => ({
  ...live,
  async close() {
    // Each suite leaves an empty account behind, so that what the first planted costs nothing beside the second.
    const left = await sweep(live);
    if (left.length > 0) throw new Error(`could not be removed: ${JSON.stringify(left)}`);
    live.swept();
  },
});

const conditions = conditionsOf(account);
conformanceSuite(name, subject, { ...conditions, resize: live.resized });
kindsSuite(name, subject, conditions);
