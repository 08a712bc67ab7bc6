/**
 * The commands. What a command does is imported when it runs, so that `landfall --help` and Tab are quick.
 */
import { Command, CommanderError, Option } from 'commander';
import { examplesOf } from './command-examples.ts';
import { exitCodes } from './errors.ts';
import { coloursWanted, painter } from './output/colours.ts';
import type { Format } from './output/formats.ts';
import { renderFailure } from './output/problem.ts';
import { addGroups } from './program-groups.ts';
import { type CommonFlags, Session } from './session.ts';
import type { Terminal } from './terminal.ts';

/** What an action gets: a session made of its own and the root's flags. */
export type Run = (session: Session, flags: never, args: string[]) => Promise<number>;

/** Adds commands to a parent; every one takes the common flags. */
export interface Registrar {
  /** The root command. */
  root: Command;
  /** A command whose action gets a session, its flags and its arguments; `moreFormats` are for its `-o` only. */
  command(
    parent: Command,
    usage: string,
    summary: string,
    run: (session: Session, flags: never, args: string[]) => Promise<number>,
    moreFormats?: readonly Format[],
  ): Command;
  /** A command that only has commands. */
  group(name: string, summary: string): Command;
}

/** A repeatable option's values so far and the next. */
export function collect(value: string, before: string[]): string[] {
  return [...before, value];
}

/** `-f`, of commands that read manifests. */
export function fileOption(): Option {
  return new Option(
    '-f, --file <path>',
    'manifest file, folder (recursively) or - for standard input; repeatable',
  )
    .argParser(collect)
    .default([], 'none');
}

function addCommonFlags(command: Command, moreFormats: readonly Format[] = []): Command {
  const formats = ['table', 'wide', 'json', 'yaml', ...moreFormats].join(', ');
  return command
    .addOption(new Option('--url <url>', "the broker's address").helpGroup('Connection:'))
    .addOption(
      new Option(
        '--token <token>',
        'the token (better in LANDFALL_TOKEN: others can see arguments)',
      ).helpGroup('Connection:'),
    )
    .addOption(new Option('--context <name>', 'a saved connection').helpGroup('Connection:'))
    .addOption(new Option('-p, --project <name>', 'the project (default: default)').helpGroup('Connection:'))
    .addOption(new Option('-o, --output <format>', `${formats} or name`).helpGroup('Output:'))
    .addOption(new Option('--no-color', 'no colours').helpGroup('Output:'));
}

/** The commands; `finish` gets the exit code of the one that ran. */
export function makeProgram(terminal: Terminal, finish: (code: number) => void): Command {
  const root = addCommonFlags(new Command('landfall'))
    .description(
      'Say what machines you need; Landfall lands them on the cheapest compliant place and keeps them there.',
    )
    .enablePositionalOptions()
    .showSuggestionAfterError()
    .helpCommand('help [command]', 'help on a command')
    .addHelpText(
      'after',
      '\nExit codes: 0 ok, 1 failed, 2 usage, 3 not found, 4 denied, 5 conflict, 6 unreachable, 7 refused, 130 interrupted.\nStart: npm run up; landfall apply -f examples/first.yaml --wait; landfall ssh first',
    );
  const registrar: Registrar = {
    root,
    command(parent, usage, summary, run, moreFormats) {
      const command = addCommonFlags(parent.command(usage), moreFormats)
        .summary(summary)
        .description(`${summary[0]!.toUpperCase()}${summary.slice(1)}.`);
      command.action(async (...given: unknown[]) => {
        const args = given
          .slice(0, -2)
          .flat()
          .filter((arg): arg is string => typeof arg === 'string');
        // `landfall -o json get sites` and `landfall get sites -o json` are the same; the nearer one wins.
        const flags = { ...root.opts(), ...withoutDefaults(command) } as CommonFlags;
        finish(
          await run(
            new Session(terminal, flags, moreFormats),
            { ...(command.opts() as object), ...flags } as never,
            args,
          ),
        );
      });
      return command;
    },
    group: (name, summary) =>
      root
        .command(name)
        .summary(summary)
        .description(`${summary[0]!.toUpperCase()}${summary.slice(1)}.`),
  };
  addResources(registrar);
  addGroups(registrar);
  for (const command of everyCommand(root)) {
    command.exitOverride();
    command.configureOutput({
      writeOut: (text) => terminal.out(text),
      writeErr: (text) => terminal.err(text),
    });
    command.configureHelp({ helpWidth: terminal.columns });
    command.addHelpText('after', () => examplesOf(nameOf(command)));
  }
  return root;
}

/** A command's words, without `landfall`: `policy put`. */
export function nameOf(command: Command): string {
  const { parent } = command;
  return parent === null ? '' : `${nameOf(parent)} ${command.name()}`.trim();
}

/** A command and those in it. */
export function everyCommand(command: Command): Command[] {
  return [command, ...command.commands.flatMap(everyCommand)];
}

function withoutDefaults(command: Command): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(command.opts()).filter(([name]) => command.getOptionValueSource(name) !== 'default'),
  );
}

const timeout = ['--timeout <duration>', 'give up waiting after this time, e.g. 10m'] as const;

function addResources({ root, command }: Registrar): void {
  root.commandsGroup('Machines:');
  command(
    root,
    'plan',
    'show where Instances would land, and why; creates nothing, needs no account',
    async (session, flags) => (await import('./commands/placement.ts')).plan(session, flags),
  )
    .addOption(fileOption())
    .option('--count <number>', 'so many machines of each, decided together')
    .option('--full', 'everything: funnel, preferences, sources, every change, what is scarce');
  command(root, 'apply', 'make what manifests say so: create, change, or leave', async (session, flags) =>
    (await import('./commands/apply.ts')).apply(session, flags),
  )
    .addOption(fileOption())
    .option('--wait', 'until all of it is done')
    .option('--dry-run', 'only show what would change')
    .option('--no-default-key', 'do not give Instances without sshKeys your own key')
    .option(...timeout);
  command(
    root,
    'get <kind> [names...]',
    'list things, or show the named ones',
    async (session, flags, [kind, ...names]) =>
      (await import('./commands/get.ts')).get(session, kind!, names, flags),
  )
    .option('-w, --watch', 'go on with every change')
    .option('--filter <terms>', 'e.g. "labels.env=prod AND name!=web"')
    .option('--limit <number>', 'at most so many')
    .addHelpText(
      'after',
      '\nKinds: organizations projects tokens sites hosts offers images sshkeys instances networks firewalls volumes snapshots addresses customimages operations policies violations approvals decisions events',
    );
  command(
    root,
    'describe <kind> [names...]',
    'everything about one thing: spec, status, where and why, cost, events',
    async (session, _flags, [kind, ...names]) =>
      (await import('./commands/describe.ts')).describe(session, kind!, names),
  );
  command(
    root,
    'explain <kind> [name]',
    'why an instance is where it is: rules, runner-ups, catalogue',
    async (session, flags, [kind, ...names]) =>
      (await import('./commands/placement.ts')).explain(session, kind!, names, flags),
  ).option('--full', 'everything: funnel, preferences, sources, every change');
  command(
    root,
    'ssh <instance> [command...]',
    'log in to an instance, or run a command there',
    async (session, flags, [name, ...words]) =>
      (await import('./commands/ssh.ts')).ssh(session, name!, words, flags),
  )
    .option('-l, --user <name>', "another user than the image's")
    .option('-i, --identity <file>', 'another private key')
    .passThroughOptions();
  command(root, 'console <instance>', "the serial console's log", async (session, flags, [name]) =>
    (await import('./commands/events.ts')).showConsole(session, name!, flags),
  )
    .option('--follow', 'go on with what comes')
    .option('--bytes <number>', 'how much of its end (default 16384)');
  command(
    root,
    'open <kind> [name]',
    "the address of its page in the cloud's own web console",
    async (session, flags, [kind, name]) =>
      (await import('./commands/open.ts')).open(session, kind!, name, flags),
  ).option('--browser', 'show it in the browser, too');
  for (const action of ['start', 'stop', 'reboot'] as const) {
    command(
      root,
      `${action} <kind> [names...]`,
      `${action} instances`,
      async (session, flags, [kind, ...names]) =>
        (await import('./commands/lifecycle.ts')).act(session, action, kind!, names, flags),
    )
      .option('--wait', 'until it is done')
      .option(...timeout);
  }
  command(
    root,
    'resize <kind> [names...]',
    'change the size of an instance where it stands',
    async (session, flags, [kind, ...names]) =>
      (await import('./commands/lifecycle.ts')).resize(session, kind!, names, flags),
  )
    .option('--vcpus <number>', 'at least this many')
    .option('--memory <GiB>', 'at least this much')
    .option('--disk <GiB>', 'the root disk; only grows')
    .option('--wait', 'until it is done')
    .option(...timeout);
  command(
    root,
    'replace <kind> [names...]',
    'have another machine made in the place of one that is Lost',
    async (session, flags, [kind, ...names]) =>
      (await import('./commands/replace.ts')).replace(session, kind!, names, flags),
  )
    .option('--image <name>', 'what it is made from, in the place of an adopted machine')
    .option('--ssh-key <names...>', 'who may log in, in the place of an adopted machine')
    .option('-y, --yes', 'do not ask: what was on the boot disk is gone')
    .option('--wait', 'until it is done')
    .option(...timeout);
  command(
    root,
    'attach <kind> [names...]',
    'attach volumes or addresses to an instance',
    async (session, flags, [kind, ...names]) =>
      (await import('./commands/attach.ts')).attach(session, kind!, names, flags),
  )
    .requiredOption('--to <instance>', 'the instance')
    .option('--wait', 'until it is done')
    .option(...timeout);
  command(
    root,
    'detach <kind> [names...]',
    'detach volumes or addresses from their instance',
    async (session, flags, [kind, ...names]) =>
      (await import('./commands/attach.ts')).attach(session, kind!, names, flags),
  )
    .option('--wait', 'until it is done')
    .option(...timeout);
  command(
    root,
    'discover [kind]',
    'list what exists at sites without Landfall; changes nothing',
    async (session, flags, [kind]) => (await import('./commands/discover.ts')).discover(session, kind, flags),
  )
    .option('--site <name>', 'at this site only')
    .option('--kind <kind>', 'what to look for (default: everything that the sites adopt)');
  command(
    root,
    'adopt [kind] [reference]',
    'make what exists at a site a resource of the project, as it is',
    async (session, flags, [kind, reference]) =>
      (await import('./commands/adopt.ts')).adopt(session, kind, reference, flags),
  )
    .option('--as <name>', 'its name from now on')
    .option('--all', 'everything that can be adopted; lists it with its cost and asks once')
    .option('--site <name>', 'where it is (default: the one site that has it; with --all, every site)')
    .option('--name <pattern>', "with --all: of this name at the provider, e.g. 'web-*'")
    .option('--selector <pairs>', 'with --all: with these tags or labels, e.g. env=prod')
    .option('--user <name>', 'of an image: whom one logs in as on what is made from it')
    .option('--labels <pairs>', 'to be given to it, e.g. env=prod,team=web')
    .option('--dry-run', 'only check')
    .option('--yes', 'with --all: do not ask')
    .option('--wait', 'until it is done')
    .option(...timeout)
    .addHelpText(
      'after',
      '\nOnly its tags change. From then on it is managed as any other: `landfall delete` deletes the thing itself.',
    );
  command(
    root,
    'release <kind> [names...]',
    'let go of instances, volumes, snapshots, images, networks or addresses: what they are stays as it is',
    async (session, flags, [kind, ...names]) =>
      (await import('./commands/release.ts')).release(session, kind!, names, flags),
  )
    .option('--yes', 'do not ask')
    .option('--dry-run', 'only check')
    .option('--ignore-not-found', 'what is not there is no error')
    .option('--wait', 'until it is done')
    .option(...timeout)
    .addHelpText(
      'after',
      "\nTakes Landfall's marks off it and what was made for it, and changes nothing else. `landfall adopt` takes it back.",
    );
  command(
    root,
    'delete [kind] [names...]',
    'delete things by name, or all that a manifest names',
    async (session, flags, [kind, ...names]) =>
      (await import('./commands/lifecycle.ts')).remove(session, kind, names, flags),
  )
    .addOption(fileOption())
    .option('--wait', 'until all of it is gone')
    .option('--dry-run', 'only check')
    .option('--ignore-not-found', 'what is not there is no error')
    .option(...timeout);
  command(
    root,
    'spend',
    'what machines have cost, from when to when, and cost an hour now',
    async (session, flags) => (await import('./commands/spend.ts')).spend(session, flags),
  )
    .option(
      '--since <time>',
      'from when on: today, month, 24h, 2026-11-21, … (default today; days begin at midnight here)',
    )
    .addOption(
      new Option('--by <key>', 'sums for each project, site, provider or instance (default project)').choices(
        ['project', 'site', 'provider', 'instance'],
      ),
    );
  command(
    root,
    'compliance',
    'hold every machine against the policies in force; exit code 1 when a rule is violated',
    async (session, flags) => (await import('./commands/compliance.ts')).compliance(session, flags),
  ).option(...timeout);
  command(
    root,
    'acknowledge <kind> [ids...]',
    'say that somebody sees to violations',
    async (session, flags, [kind, ...ids]) =>
      (await import('./commands/compliance.ts')).acknowledge(session, kind!, ids, flags),
  ).requiredOption('--reason <text>', 'what is done about it');
  command(
    root,
    'approve <approvals...>',
    'approve what requests wait for; `landfall get approvals` lists it',
    async (session, flags, [kind, ...ids]) =>
      (await import('./commands/approval.ts')).decide(session, 'approve', kind!, ids, flags),
  ).option('--reason <text>', 'why');
  command(root, 'reject <approvals...>', 'reject it', async (session, flags, [kind, ...ids]) =>
    (await import('./commands/approval.ts')).decide(session, 'reject', kind!, ids, flags),
  ).requiredOption('--reason <text>', 'told to who asked');
  command(
    root,
    'audit',
    'compare intents, inventory and providers; exit code 1 unless clean',
    async (session, flags) => (await import('./commands/audit.ts')).audit(session, flags),
  ).option(...timeout);
}

/** Runs one command line; answers its exit code. */
export async function run(argv: string[], terminal: Terminal): Promise<number> {
  let exitCode: number = exitCodes.ok;
  const program = makeProgram(terminal, (code) => {
    exitCode = code;
  });
  try {
    if (argv[0] === '__complete') {
      const { complete } = await import('./completion.ts');
      const words = await complete(program, argv.slice(argv[1] === '--' ? 2 : 1), terminal);
      terminal.out(words.map((word) => `${word}\n`).join(''));
      return exitCodes.ok;
    }
    await program.parseAsync(argv, { from: 'user' });
    return exitCode;
  } catch (error) {
    // Commander has said what is wrong itself.
    if (error instanceof CommanderError)
      return error.exitCode === 0 || error.code === 'commander.help' ? exitCodes.ok : exitCodes.usage;
    const paint = painter(
      coloursWanted(terminal.errIsTTY, terminal.env, argv.includes('--no-color') ? false : undefined),
    );
    terminal.err(renderFailure(error, { paint, debug: terminal.env.LANDFALL_DEBUG === '1' }));
    const code = (error as { exitCode?: unknown }).exitCode;
    return typeof code === 'number' ? code : exitCodes.failed;
  }
}
