import { bootFirmware, probeAcceleration } from './acceleration.ts';
import { probeFirmware } from './firmware.ts';

test('the probe firmware is 64 KiB with a jump at the reset vector', () => {
  const firmware = probeFirmware();
  expect(firmware.length).toBe(65536);
  expect(firmware.readUInt8(0xfff0)).toBe(0xe9);
});

test('the probe firmware runs to its end under emulation', async () => {
  expect(await bootFirmware('tcg')).toBe('booted');
}, 10_000);

test('the probe answers within its limit, with a reason', async () => {
  const started = Date.now();
  const { accel, reason } = await probeAcceleration();
  expect(Date.now() - started).toBeLessThan(5000);
  expect(['kvm', 'tcg']).toContain(accel);
  expect(reason).not.toBe('');
}, 10_000);
