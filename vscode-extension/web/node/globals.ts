/** Node's globals that shared code reads. */
const browser = globalThis as unknown as Record<string, unknown>;
browser.process ??= { env: {}, platform: 'browser', versions: {}, cwd: () => '/' };
browser.Buffer ??= {
  byteLength: (text: string) => new TextEncoder().encode(text).length,
  // Only ever to have a string of its own memory.
  from: (text: string) => ({ toString: () => text }),
};
