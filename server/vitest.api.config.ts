import { defineConfig } from 'vitest/config';

/** Requests made from the API document, to a server process. API_REQUESTS is how many, API_SEED repeats a run. */
export default defineConfig({
  test: {
    include: ['test/api/**/*.test.ts'],
    globalSetup: ['test/faults/build.ts'],
    pool: 'forks',
    testTimeout: 600_000,
    hookTimeout: 60_000,
    reporters: ['verbose'],
  },
});
