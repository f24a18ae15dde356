import { defineConfig } from 'vitest/config';

/** Random events over HTTP, compared after an export with what another JSON parser says of them. */
export default defineConfig({
  test: {
    include: ['test/fuzz/**/*.test.ts'],
    globalSetup: ['test/faults/build.ts'],
    pool: 'forks',
    testTimeout: 3_600_000,
    hookTimeout: 60_000,
    reporters: ['verbose'],
  },
});
