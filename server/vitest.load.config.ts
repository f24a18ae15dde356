import { defineConfig } from 'vitest/config';

/** Attacks on a server process, one at a time. Loopback only; LOAD_SECONDS is how long each lasts, 3 by default. */
export default defineConfig({
  test: {
    include: ['test/load/**/*.test.ts'],
    globalSetup: ['test/faults/build.ts'],
    fileParallelism: false,
    pool: 'forks',
    testTimeout: 300_000,
    hookTimeout: 60_000,
    reporters: ['verbose'],
  },
});
