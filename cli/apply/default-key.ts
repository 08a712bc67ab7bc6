/** The SSH key that landfall makes for a user who names none, so that a first machine can be logged in to. */
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { userInfo } from 'node:os';
import { join } from 'node:path';
import { answer, type Broker, bodyIfFound, idempotencyKey } from '../connection/broker.ts';
import { CommandError } from '../errors.ts';
import { configDirectory } from '../terminal.ts';
import type { ApplySession } from './outcome.ts';

/** The private key's file; its public half has `.pub` at its end. */
export function defaultKeyFile(env: NodeJS.ProcessEnv): string {
  return join(configDirectory(env), 'id_ed25519');
}

/** `landfall-<user>`, in the characters that names may have. */
export function defaultKeyName(user: string): string {
  const plain = user
    .toLowerCase()
    .replaceAll(/[^a-z0-9]+/g, '-')
    .replaceAll(/^-+|-+$/g, '');
  return `landfall-${plain.slice(0, 40).replace(/-+$/, '') || 'user'}`;
}

function currentUser(env: NodeJS.ProcessEnv): string {
  if (env.USER) return env.USER;
  try {
    return userInfo().username;
  } catch {
    return 'user'; // a container's user id need not have a name
  }
}

/** The local public key; made with ssh-keygen when there is none. */
export function ensureLocalKey(session: ApplySession): string {
  const { env } = session.terminal;
  const file = defaultKeyFile(env);
  if (!existsSync(file)) {
    mkdirSync(configDirectory(env), { recursive: true, mode: 0o700 });
    const comment = `landfall-${currentUser(env)}`;
    const made = spawnSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-C', comment, '-f', file], {
      env,
      encoding: 'utf8',
    });
    if (made.error || made.status !== 0) {
      throw new CommandError(`No SSH key could be made: ${made.error?.message ?? made.stderr.trim()}`, {
        hint: 'Install OpenSSH (ssh-keygen), name keys in spec.sshKeys, or apply with --no-default-key.',
        cause: made.error,
      });
    }
    session.notice(
      `Made an SSH key for your machines: ${file} (name keys in spec.sshKeys, or --no-default-key, to use others).`,
    );
  }
  if (!existsSync(`${file}.pub`)) {
    const made = spawnSync('ssh-keygen', ['-y', '-f', file], { env, encoding: 'utf8' });
    if (made.error || made.status !== 0) {
      throw new CommandError(
        `${file} cannot be read as a private key: ${made.error?.message ?? made.stderr.trim()}`,
      );
    }
    return made.stdout.trim();
  }
  return readFileSync(`${file}.pub`, 'utf8').trim();
}

/** Type and key without the comment: what makes two public keys the same. */
function keyMaterial(publicKey: string): string {
  return publicKey.trim().split(/\s+/).slice(0, 2).join(' ');
}

/**
 * The name of this user's key in the project; uploaded when it is not there, once `agreed` has answered: what a
 * rejected request needs is not left behind. A key of that name with other content belongs to the same user on
 * another machine, so this one's digest is added to its name.
 */
export async function ensureProjectKey(
  session: ApplySession,
  broker: Broker,
  agreed: () => Promise<unknown>,
): Promise<string> {
  const publicKey = ensureLocalKey(session);
  const plain = defaultKeyName(currentUser(session.terminal.env));
  const digest = createHash('sha256').update(keyMaterial(publicKey)).digest('hex').slice(0, 8);
  for (const name of [plain, `${plain}-${digest}`]) {
    const params = { path: { project: broker.project, sshKey: name } };
    const existing = await bodyIfFound(
      broker.client.GET('/v1/projects/{project}/sshKeys/{sshKey}', { params }),
    );
    if (existing && keyMaterial(existing.body.publicKey) === keyMaterial(publicKey)) return name;
    if (existing) continue;
    await agreed();
    await answer(
      broker.client.POST('/v1/projects/{project}/sshKeys', {
        params: { path: { project: broker.project }, header: idempotencyKey() },
        body: { name, publicKey },
      }),
    );
    session.notice(`Uploaded your key to project ${broker.project} as sshkey/${name}.`);
    return name;
  }
  throw new CommandError(
    `The project's keys ${plain} and ${plain}-${digest} are both other keys than yours.`,
    {
      hint: 'Name keys in spec.sshKeys, or apply with --no-default-key.',
    },
  );
}
