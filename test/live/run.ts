/**
 * The conformance suites against a real account, with a cap on what they may cost; see docs/live-suites.md.
 *
 *   npm run test:live -- aws|azure|gcp [-f site.yaml] [--region R] [--zone Z] [--spend-cap USD] [--minutes N]
 *   npm run test:live -- aws|azure|gcp [-f site.yaml] [--region R] --sweep RUN [--minutes N]
 */
import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import type { Schemas } from '@landfall/model';
import { parse } from 'yaml';
import { boundOf, mostAtOnce, ratesOf } from './spend.ts';
import { type LiveAccount, type LiveSubject, openLive } from './subject.ts';
import { sweep } from './sweep.ts';
import { watchSuites } from './watch.ts';

const say = (line: string) => process.stdout.write(`${line}\n`);

/** What is wrong before anything was made, for people. */
class Refusal extends Error {}

/** Where a provider's account is when no site's file says it. */
const usual = {
  aws: { region: process.env.AWS_REGION ?? 'us-east-1' },
  azure: { region: 'westeurope', subscription: process.env.AZURE_SUBSCRIPTION_ID },
  gcp: { region: 'us-central1', project: process.env.GOOGLE_CLOUD_PROJECT },
};
const isProvider = (word: string | undefined): word is keyof typeof usual =>
  word !== undefined && Object.hasOwn(usual, word);

interface Options {
  account: LiveAccount;
  capUsd: number;
  minutes: number;
  /** The run of before that is only to be swept. */
  before?: string;
}

function readOptions(args: string[]): Options {
  const { values, positionals } = parseArgs({
    args,
    allowPositionals: true,
    options: {
      file: { type: 'string', short: 'f' },
      region: { type: 'string' },
      zone: { type: 'string' },
      'spend-cap': { type: 'string', default: '2' },
      minutes: { type: 'string', default: '90' },
      sweep: { type: 'string' },
    },
  });
  const [provider] = positionals;
  if (!isProvider(provider) || positionals.length > 1)
    throw new Refusal(
      `which provider? one of ${Object.keys(usual).join(', ')}, e.g. npm run test:live -- aws`,
    );
  const { region, ...place } = usual[provider];
  const spec: Schemas['SiteSpec'] = values.file
    ? specIn(values.file)
    : { provider, regions: [region], ...place };
  if (spec.provider !== provider)
    throw new Refusal(`${values.file} is a site of ${spec.provider}, and ${provider} was asked for`);
  if (values.region) spec.regions = [values.region];
  if (!spec.regions?.[0]) throw new Refusal(`${values.file} names no region: add one, or give --region`);
  if (provider === 'azure' && !spec.subscription)
    throw new Refusal('no subscription: set AZURE_SUBSCRIPTION_ID, or name it in a site’s file (-f)');
  if (provider === 'gcp' && !spec.project)
    throw new Refusal('no project: set GOOGLE_CLOUD_PROJECT, or name it in a site’s file (-f)');
  if (values.sweep !== undefined && !/^live-[0-9a-f]{10}$/.test(values.sweep))
    throw new Refusal(
      `--sweep wants a run's name as it was printed, e.g. live-0123456789, not "${values.sweep}"`,
    );
  return {
    account: {
      spec,
      zone: values.zone,
      run: values.sweep ?? `live-${randomUUID().replaceAll('-', '').slice(0, 10)}`,
    },
    capUsd: positive(values['spend-cap'], '--spend-cap', 'US dollars'),
    minutes: positive(values.minutes, '--minutes', 'minutes'),
    before: values.sweep,
  };
}

function positive(text: string, name: string, unit: string): number {
  const value = Number(text);
  if (!(value > 0)) throw new Refusal(`${name} wants a number of ${unit} above 0, not "${text}"`);
  return value;
}

function specIn(file: string): Schemas['SiteSpec'] {
  const { kind, spec } = (parse(readFileSync(file, 'utf8')) ?? {}) as { kind?: string; spec?: object };
  if (kind !== 'Site' || !spec) throw new Refusal(`${file} is no site: it has no "kind: Site" with a "spec"`);
  return spec as Schemas['SiteSpec'];
}

/** Opens the account, and sees that it answers. */
async function open(account: LiveAccount): Promise<{ subject: LiveSubject; found: string[] }> {
  try {
    const subject = await openLive(account);
    return { subject, found: await subject.remains() };
  } catch (error) {
    throw new Refusal(
      `the account cannot be used: ${(error as Error).message}
Nothing was made. Where credentials are missing: they are looked for where the provider's own tools have them (environment, login, machine identity), or
in a site’s file that is given with -f (docs/sites.md, "Credentials").`,
    );
  }
}

/** @returns whether all is gone. */
async function clean(subject: LiveSubject, { spec, run }: LiveAccount, minutes?: number): Promise<boolean> {
  say(`removing all of ${run}…`);
  const left = await sweep(subject, { say, limitMs: minutes && minutes * 60_000 });
  if (left.length === 0) {
    say('swept: nothing of the run is left');
    return true;
  }
  say(`NOT REMOVED, and costing money: ${left.length}`);
  for (const { ref, reason } of left) say(`  ${ref}: ${reason}`);
  say(
    `try again: npm run test:live -- ${spec.provider} --sweep ${run} (with the same -f and --region), or remove them by hand`,
  );
  return false;
}

async function main(): Promise<boolean> {
  const { account, capUsd, minutes, before } = readOptions(process.argv.slice(2));
  const { subject, found } = await open(account);
  if (before) {
    say(`${found.length} of ${before} are there`);
    return clean(subject, account, minutes);
  }
  const { run, spec } = account;
  const want = subject.want(randomUUID(), 1);
  const types = [want.spec.instanceType, subject.resized.instanceType];
  const rates = await ratesOf(await subject.adapter(), spec.provider, types, want.location).catch(
    (error: Error) => {
      throw new Refusal(`no bound on what it costs: ${error.message}`);
    },
  );
  const bound = boundOf(rates, minutes);
  const most = Object.entries(mostAtOnce).map(([kind, count]) => `${count} ${kind}`);
  say(
    `${run}: ${spec.provider}, ${want.location.region} ${want.location.zone}${spec.endpoint ? ` at ${spec.endpoint}` : ''}`,
  );
  say(
    `at most $${bound.toFixed(2)}: ${most.join(', ')} at once for ${minutes} minutes, a machine at $${rates.Instance.toFixed(4)} an hour (cap $${capUsd})`,
  );
  if (bound > capUsd)
    throw new Refusal(
      `that is above the cap of $${capUsd}: give --spend-cap ${Math.ceil(bound * 100) / 100}, or fewer --minutes. Nothing was made.`,
    );
  const stop = new AbortController();
  // Stays for the sweep, too: a second Ctrl-C must not leave machines behind.
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
    process.on(signal, () => {
      if (stop.signal.aborted) say(`still removing; what is left when this is killed: --sweep ${run}`);
      stop.abort(signal);
    });
  const { passed, stopped, spent, peak } = await watchSuites({
    account,
    rates,
    capUsd,
    minutes,
    signal: stop.signal,
  });
  if (stopped) say(`stopped: ${stopped}`);
  const swept = await clean(subject, account);
  say(`at once at most: ${[...peak].map(([kind, count]) => `${count} ${kind}`).join(', ')}`);
  say(`${passed ? 'passed' : 'FAILED'}; about $${spent.toFixed(4)} spent`);
  return passed && swept;
}

try {
  process.exitCode = (await main()) ? 0 : 1;
} catch (error) {
  if (
    !(error instanceof Refusal) &&
    (error as { code?: string }).code !== 'ENOENT' &&
    !(error as { code?: string }).code?.startsWith('ERR_PARSE_ARGS')
  )
    throw error;
  process.stderr.write(`${(error as Error).message}\n`);
  process.exitCode = 2;
}
