/** Jest runs the TypeScript sources as ESM through swc; see docs/architecture.md, "Toolchain". */
export default {
  testEnvironment: 'node',
  // Two busy cores: a limit that fails a slow machine says nothing about the code.
  testTimeout: 60_000,
  extensionsToTreatAsEsm: ['.ts'],
  transform: {
    '^.+\\.ts$': [
      '@swc/jest',
      {
        jsc: {
          parser: { syntax: 'typescript' },
          target: 'es2024',
          experimental: { keepImportAttributes: true },
        },
        module: { type: 'es6' },
        sourceMaps: 'inline',
      },
    ],
  },
  testMatch: ['**/*.test.ts'],
  testPathIgnorePatterns: ['/node_modules/', '/\\.landfall/'],
  modulePathIgnorePatterns: ['<rootDir>/\\.landfall/'],
};
