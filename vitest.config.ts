import { join } from 'node:path';
import { defineConfig } from 'vitest/config';
import { inheritedEnvironment } from './lib/config.ts';
import { cacheFolder } from './local/cache.ts';
import { LongestFirst } from './test/order.ts';

export default defineConfig({
  test: {
    globalSetup: ['test/setup.ts'],
    include: ['**/*.test.ts'],
    exclude: ['node_modules/**'],
    // Real databases and processes on a busy machine: a hang must end, slowness must not.
    testTimeout: 60_000,
    hookTimeout: 180_000,
    // More than cores: the slowest files wait for outages and deadlines most of their time.
    maxWorkers: 4,
    sequence: { sequencer: LongestFirst },
    // Every file, and every process that one starts, begins with the same libraries: Node keeps what it compiled.
    env: { NODE_COMPILE_CACHE: join(cacheFolder(inheritedEnvironment()), 'compile-cache') },
    reporters: ['default'],
  },
});
