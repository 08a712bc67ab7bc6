import { createServer, type Server } from 'node:net';
import { accepts, choosePort, isPortFree } from './ports.ts';

const servers: Server[] = [];

function listen(port = 0): Promise<number> {
  return new Promise((done, failed) => {
    const server = createServer();
    servers.push(server);
    server.once('error', failed);
    server.listen(port, '127.0.0.1', () => done((server.address() as { port: number }).port));
  });
}

afterEach(async () => {
  for (const server of servers.splice(0)) await new Promise((done) => server.close(done));
});

test('a taken port is passed over', async () => {
  const port = await listen();
  expect(await isPortFree(port)).toBe(false);
  expect(await accepts(port)).toBe(true);
  expect(await choosePort(port)).toBeGreaterThan(port);
});

test('a free port is kept, and 0 means any', async () => {
  const port = await choosePort(0);
  expect(await choosePort(port)).toBe(port);
  expect(await accepts(port)).toBe(false);
});

test('a port promised to another part is passed over', async () => {
  const port = await choosePort(0);
  expect(await choosePort(port, { taken: new Set([port]) })).not.toBe(port);
});

test('says what to do when there is none', async () => {
  const port = await listen();
  await expect(choosePort(port, { tries: 1 })).rejects.toThrow('--port');
});
