/** A real distribution on this host: Debian 12, set up by its own cloud-init. */
import { Installation } from './installation.ts';

let installation: Installation;

beforeAll(async () => {
  installation = await Installation.start();
}, 300_000);

afterAll(async () => {
  await installation?.close();
}, 120_000);

test('apply -f examples/debian.yaml --wait boots Debian 12, and cloud-init does what the user data says', async () => {
  // The first time on a machine the image is built from the distribution's packages.
  const applied = await installation.landfall('apply -f examples/debian.yaml --wait --timeout 12m', {
    limitMs: 780_000,
  });
  expect(applied).toMatchObject({ code: 0, stdout: 'instance/debian created\n' });
  expect(applied.stderr).toMatch(/debian runs at local\/\S+ for \$0\.\d+ an hour/);
  const inGuest = (command: string) =>
    installation.succeed(['ssh', 'debian', '--', command], { limitMs: 300_000 });
  expect(await inGuest('cloud-init status --wait')).toMatch(/status: done/);
  expect(await inGuest('cat /etc/motd.d/landfall')).toBe('Landed by Landfall.\n');
  expect(await inGuest('. /etc/os-release; echo $ID $VERSION_ID; whoami; hostname; sudo whoami')).toBe(
    'debian 12\ndebian\ndebian\nroot\n',
  );
  // The root file system has grown to the disk that was asked for.
  const [size = 0] = (await inGuest('df --output=size -B1 / | tail -1')).trim().split('\n').map(Number);
  expect(size).toBeGreaterThan(7 * 2 ** 30);
  await installation.succeed('delete instance debian --wait', { limitMs: 300_000 });
  expect(await installation.succeed('audit')).toMatch(/^0 orphans, 0 missing, 0 doubled$/m);
}, 900_000);
