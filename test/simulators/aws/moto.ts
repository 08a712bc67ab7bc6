import { spawn } from 'node:child_process';
import { createServer } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type { Installation } from './install.ts';

export interface Moto {
  url: string;
  close(): Promise<void>;
}

// Ends itself when its standard input closes, so that it goes with us even when we are killed.
const program = `
import os, sys, threading
def leave_with_parent():
    sys.stdin.read()
    os._exit(0)
threading.Thread(target=leave_with_parent, daemon=True).start()
from moto.server import main
main(["-H", "127.0.0.1", "-p", sys.argv[1]])
`;

/** Starts a moto server on a free loopback port and waits until it answers (about half a second). */
export async function startMoto(installation: Installation): Promise<Moto> {
  const port = await freePort();
  const child = spawn(installation.python, ['-c', program, String(port)], {
    stdio: ['pipe', 'ignore', 'pipe'],
    env: {
      ...process.env,
      MOTO_EC2_ENABLE_INSTANCE_TYPE_VALIDATION: 'true',
      MOTO_ENABLE_AMI_VALIDATION: 'true',
      MOTO_ENABLE_KEYPAIR_VALIDATION: 'true',
      MOTO_AMIS_PATH: fileURLToPath(new URL('./images.json', import.meta.url)),
    },
  });
  let said = '';
  child.stderr.on('data', (chunk) => {
    said = `${said}${chunk}`.slice(-4000);
  });
  child.stdin.on('error', () => {
    // The pipe breaks when moto has ended already; nothing is ever written to it.
  });
  const ended = new Promise<void>((resolve) => child.on('close', () => resolve()));
  let gone = false;
  child.on('error', (error) => {
    gone = true;
    said += error.message;
  });
  void ended.then(() => {
    gone = true;
  });
  const url = `http://127.0.0.1:${port}`;
  const close = async () => {
    child.stdin.end();
    await Promise.race([ended, sleep(2000, undefined, { ref: false })]);
    if (!gone) {
      child.kill('SIGKILL');
      await ended;
    }
  };
  for (let tries = 0; tries < 300; tries += 1) {
    if (gone) throw new Error(`moto ended at its start: ${said.trim()}`);
    const up = await fetch(`${url}/moto-api/`).then(
      (answer) => answer.ok,
      () => false,
    );
    if (up) return { url, close };
    await sleep(50);
  }
  await close();
  throw new Error(`moto did not answer within 15 s: ${said.trim()}`);
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.on('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      const port = typeof address === 'object' && address ? address.port : 0;
      server.close(() => resolve(port));
    });
  });
}
