/** The commands that stand in groups, and those about landfall itself. */
import { Option } from 'commander';
import { version } from './connection/broker.ts';
import { collect, fileOption, type Registrar } from './program.ts';

/** Adds them. */
export function addGroups(registrar: Registrar): void {
  addSites(registrar);
  addPolicies(registrar);
  addCatalogue(registrar);
  addOperations(registrar);
  addIdentity(registrar);
  addOthers(registrar);
}

function addSites({ root, command, group }: Registrar): void {
  root.commandsGroup('Places and rules:');
  const site = group('site', 'sites: where machines can be');
  command(site, 'add', 'add or change the sites of a manifest', async (session, flags) =>
    (await import('./commands/apply.ts')).addSites(session, flags),
  )
    .addOption(fileOption())
    .option('--dry-run', 'only show what would change');
  command(site, 'get [names...]', 'list sites, or show the named ones', async (session, _flags, names) =>
    (await import('./commands/get.ts')).get(session, 'sites', names, {}),
  ).alias('list');
  command(site, 'delete <names...>', 'remove sites that hold no resources', async (session, _flags, names) =>
    (await import('./commands/lifecycle.ts')).remove(session, 'site', names, { file: [] }),
  );
}

function addPolicies({ command, group }: Registrar): void {
  const policy = group('policy', 'policies: what is allowed and what is preferred');
  command(policy, 'put', 'put the policies of a file in force', async (session, flags) =>
    (await import('./commands/policy.ts')).putPolicies(session, flags),
  )
    .addOption(fileOption())
    .option('--dry-run', 'only show what would change');
  command(
    policy,
    'validate',
    'every error of policy files, with line and column; offline; -o junit for CI',
    async (session, flags) => (await import('./commands/policy.ts')).validatePolicies(session, flags),
    ['junit'],
  )
    .addOption(fileOption())
    .option('--server', 'ask the broker instead');
  command(
    policy,
    'test',
    'run the tests in policy files; offline, against the price snapshot; -o junit for CI',
    async (session, flags) => (await import('./commands/policy.ts')).testPolicies(session, flags),
    ['junit'],
  )
    .addOption(fileOption())
    .option('--server', "ask the broker instead, against the broker's catalogue");
  command(policy, 'fmt', 'print a policy file in its one form; offline', async (session, flags) =>
    (await import('./commands/policy-text.ts')).formatPolicies(session, flags),
  )
    .addOption(fileOption())
    .option('--check', 'only name the files that are not in it; exit code 1 when there are any')
    .option('--write', 'write the files');
  command(
    policy,
    'explain [rule]',
    'what the rules of policy files do, in plain words; offline',
    async (session, flags, [rule]) =>
      (await import('./commands/policy-text.ts')).explainPolicies(session, flags, rule),
  ).addOption(fileOption());
  command(
    policy,
    'what-if',
    'replay recorded requests under changed policies: what moves, is rejected, and costs; changes nothing',
    async (session, flags) => (await import('./commands/what-if.ts')).whatIf(session, flags),
  )
    .addOption(fileOption())
    .addOption(
      new Option('--without <name>', 'with this policy taken out of force; repeatable')
        .argParser(collect)
        .default([], 'none'),
    )
    .option('--catalogue <version>', 'under the prices of a kept catalogue')
    .option('--since <duration>', 'how far back requests are taken from (default 30d)')
    .option('--limit <number>', 'at most so many requests, the newest first (default 1000)');
  command(
    policy,
    'pack [name]',
    'policies shipped with landfall; with a name, its file',
    async (session, _flags, [name]) => (await import('./commands/policy-pack.ts')).showPacks(session, name),
  );
  command(policy, 'list', 'policies in force', async (session) =>
    (await import('./commands/get.ts')).get(session, 'policies', [], {}),
  );
  command(
    policy,
    'get <names...>',
    'show policies; -o yaml shows the source',
    async (session, _flags, names) => (await import('./commands/get.ts')).get(session, 'policies', names, {}),
  );
  command(
    policy,
    'delete [names...]',
    'take policies out of force',
    async (session, flags: { file: string[] }, names) =>
      (await import('./commands/lifecycle.ts')).remove(
        session,
        names.length > 0 || flags.file.length === 0 ? 'policy' : undefined,
        names,
        flags,
      ),
  ).addOption(fileOption());
}

function addCatalogue({ command, group }: Registrar): void {
  const catalogue = group('catalogue', 'prices: those in force, and your own');
  command(
    catalogue,
    'list',
    'the prices in force, where they come from, and how the last refresh went',
    async (session) => (await import('./commands/price-lists.ts')).listCatalogue(session),
  );
  command(
    catalogue,
    'refresh <providers...>',
    "read the providers' price APIs: aws, azure, gcp",
    async (session, flags, words) =>
      (await import('./commands/price-lists.ts')).refreshCatalogue(session, words, flags),
  )
    .addOption(
      new Option('--region <name>', 'only this region; repeatable')
        .argParser(collect)
        .default([], 'every region with a price'),
    )
    .option('--timeout <duration>', 'give up waiting after this time, e.g. 10m');
  command(
    catalogue,
    'import',
    "put a price file in SkyPilot's columns in force: all of it, or nothing",
    async (session, flags) => (await import('./commands/price-lists.ts')).importPrices(session, flags),
  )
    .requiredOption('-f, --file <path>', 'the file')
    .requiredOption('--provider <provider>', 'whose prices: aws, azure or gcp')
    .option('--name <name>', "the price list's name (default: the file's)")
    .option('--date <date>', 'of the prices, e.g. 2026-11-01 (default: today)')
    .option('--skip-bad', 'leave out rows that cannot be used')
    .option('--dry-run', 'only check');
  command(catalogue, 'remove <names...>', 'take price lists out of force', async (session, _flags, names) =>
    (await import('./commands/price-lists.ts')).removePrices(session, names),
  );
  command(
    catalogue,
    'check <file>',
    "what a price file in SkyPilot's columns would give; offline",
    async (session, flags, [file]) =>
      (await import('./commands/catalogue.ts')).checkCatalogue(session, file!, flags),
  ).requiredOption('--provider <provider>', 'whose prices: aws, azure or gcp');
}

function addOperations({ root, command, group }: Registrar): void {
  root.commandsGroup('What happens:');
  const operation = group('operation', 'operations: changes that take time');
  const timeout = ['--timeout <duration>', 'give up waiting after this time, e.g. 10m'] as const;
  command(
    operation,
    'get [ids...]',
    'list operations, or show the named ones',
    async (session, _flags, ids) => (await import('./commands/get.ts')).get(session, 'operations', ids, {}),
  ).alias('list');
  command(operation, 'wait <ids...>', 'wait until operations have ended', async (session, flags, ids) =>
    (await import('./commands/operation.ts')).waitOperations(session, ids, flags),
  ).option(...timeout);
  command(operation, 'cancel <id>', 'cancel what can still be cancelled', async (session, flags, [id]) =>
    (await import('./commands/operation.ts')).cancelOperation(session, id!, flags),
  )
    .option('--wait', 'until it has ended')
    .option(...timeout);
  command(root, 'events', 'what happened', async (session, flags) =>
    (await import('./commands/events.ts')).events(session, flags),
  )
    .option('-w, --watch', 'go on with what happens')
    .option('--filter <terms>', 'e.g. "type=instance.placed"')
    .option('--limit <number>', 'at most so many');
}

function addIdentity({ root, command, group }: Registrar): void {
  root.commandsGroup('Who and where:');
  command(
    root,
    'login [url]',
    'connect to a broker and save it as a context',
    async (session, flags, [url]) => (await import('./commands/identity.ts')).login(session, url, flags),
  ).option('--name <context>', "the context's name (default: the host's)");
  command(root, 'whoami', 'the principal and role of the token in use', async (session) =>
    (await import('./commands/identity.ts')).whoami(session),
  );
  const context = group('context', 'saved connections');
  command(context, 'list', 'the saved contexts', async (session) =>
    (await import('./commands/identity.ts')).listContexts(session),
  );
  command(
    context,
    'use <name>',
    'make a context the current one (with --project: in that project)',
    async (session, _flags, [name]) => (await import('./commands/identity.ts')).useContext(session, name!),
  );
  command(context, 'show [name]', 'one context', async (session, _flags, [name]) =>
    (await import('./commands/identity.ts')).showContext(session, name),
  );
  command(context, 'delete <name>', 'forget a context and its token', async (session, _flags, [name]) =>
    (await import('./commands/identity.ts')).deleteContext(session, name!),
  );
  const token = group('token', 'tokens of the organization');
  command(token, 'create <name>', 'create a token; prints its secret, once', async (session, flags, [name]) =>
    (await import('./commands/identity.ts')).createToken(session, name!, flags),
  )
    .requiredOption('--role <role>', 'viewer, operator, admin or agent')
    .option('--site <name>', 'the site that an agent speaks for')
    .option('--organization <name>', 'of another organization')
    .option('--expires-in <duration>', 'e.g. 72h or 30d');
  command(token, 'list', 'tokens, never their secrets', async (session) =>
    (await import('./commands/get.ts')).get(session, 'tokens', [], {}),
  );
  command(token, 'revoke <names...>', 'revoke tokens by name or id', async (session, _flags, names) =>
    (await import('./commands/identity.ts')).revokeTokens(session, names),
  );
}

function addOthers({ root, command }: Registrar): void {
  root.commandsGroup('Landfall itself:');
  command(
    root,
    'simulate <provider>',
    'a simulated cloud on this machine until Ctrl-C, to try things without an account: aws, azure or gcp',
    async (session, flags, [provider]) =>
      (await import('./commands/simulate.ts')).simulate(session, provider!, flags),
  ).option('--port <number>', 'its port on the loopback address (default: any free one)');
  command(
    root,
    'mcp',
    'serve a language model over standard input and output (Model Context Protocol); only reads, unless told otherwise',
    async (session, flags) => (await import('./commands/mcp.ts')).mcp(session, flags),
  ).option('--allow-writes', 'also tools that change something; each asks a person first');
  command(
    root,
    'completion <shell>',
    'completion for bash, zsh or fish',
    async (session, _flags, [shell]) => {
      const { completionScript } = await import('./completion.ts');
      session.out(completionScript(shell!));
      return 0;
    },
  );
  command(root, 'version', 'the version of this command line', async (session) => {
    if (session.structured) session.outStructured({ version, node: process.versions.node });
    else session.out(`landfall ${version} (Node ${process.versions.node})\n`);
    return 0;
  });
}
