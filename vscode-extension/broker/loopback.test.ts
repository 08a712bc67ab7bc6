import { isLoopback, machineOf, thisMachine } from './loopback.ts';

test('an address of the machine itself is known in each way of writing it', () => {
  const own = [
    ...[
      'http://127.0.0.1:7420',
      'http://localhost',
      'https://LOCALHOST:1',
      'http://127.1:7420',
      'http://[::1]:7420',
    ],
    ...['http://[0:0:0:0:0:0:0:1]', 'http://0.0.0.0:7420', 'http://2130706433', 'http://lf.localhost:7420'],
  ];
  expect(own.filter((url) => !isLoopback(url))).toEqual([]);
  const others = [
    'https://lf.example',
    'http://10.127.0.1',
    'http://localhost.example',
    'http://127.0.0.1.example',
  ];
  expect(others.filter(isLoopback)).toEqual([]);
});

test('a laptop is one machine, whatever network names it', () => {
  expect(thisMachine('ann.local')).toBe(thisMachine('ann.fritz.box'));
});

test('it is of the machine that the extension runs on, and in a browser of none', () => {
  expect(machineOf('http://127.0.0.1:7420', 'build-1')).toBe('build-1');
  expect(machineOf('https://lf.example', 'build-1')).toBeUndefined();
  expect(machineOf('http://127.0.0.1:7420', '')).toBeUndefined();
});
