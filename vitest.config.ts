import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    globalSetup: ['test/setup.ts'],
    include: ['**/*.test.ts'],
    exclude: ['node_modules/**'],
    // Real databases and processes on a busy machine: a hang must end, slowness must not.
    testTimeout: 60_000,
    hookTimeout: 180_000,
    // More than cores: the slowest files wait for outages and deadlines most of their time.
    maxWorkers: 3,
    reporters: ['default'],
  },
});
