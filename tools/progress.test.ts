import { Progress } from './progress.ts';

function screen(isTTY: boolean) {
  const written: string[] = [];
  return { written, isTTY, columns: 40, write: (text: string) => written.push(text) };
}

test('piped: plain lines only, now and then while a step lasts, with its time', async () => {
  const piped = screen(false);
  const progress = new Progress(piped, { everyMs: 500, env: {} });
  await progress.run('Building', async (note) => {
    note('half');
    await new Promise((done) => setTimeout(done, 1300));
  });
  expect(piped.written.join('')).toMatch(/^… Building: half \(1\.\d s\)\n✓ Building 1\.\d s\n$/);
});

test('a terminal: one line is redrawn and never longer than the screen', async () => {
  const terminal = screen(true);
  const progress = new Progress(terminal, { env: {} });
  await progress.run('Building', async (note) => {
    note('a note that is longer than the forty columns of this screen');
    await new Promise((done) => setTimeout(done, 250));
  });
  const drawn = terminal.written.filter((text) => text.includes('Building:'));
  expect(drawn.length).toBeGreaterThan(0);
  for (const line of drawn) expect(line.length).toBeLessThan(40);
  expect(terminal.written.join('')).toContain('\x1b[32m✓');
});

test('colours are off when NO_COLOR is set', async () => {
  const terminal = screen(true);
  await new Progress(terminal, { env: { NO_COLOR: '1' } }).run('Step', async () => {});
  expect(terminal.written.join('')).toContain('✓ Step');
  expect(terminal.written.join('')).not.toContain('\x1b[32m');
});
