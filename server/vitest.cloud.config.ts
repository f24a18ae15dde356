import { defineConfig } from 'vitest/config';

/** The Google Cloud mode against real engines (Google's Pub/Sub fake, bqemulator, GoogleSQL). One file at a time. */
export default defineConfig({
  test: {
    include: ['test/cloud/**/*.test.ts'],
    globalSetup: ['test/cloud/engines/install.ts'],
    fileParallelism: false,
    pool: 'forks',
    testTimeout: 120_000,
    hookTimeout: 120_000,
    reporters: ['verbose'],
    // Google's clients look for a metadata server otherwise, over the network.
    env: { METADATA_SERVER_DETECTION: 'none' },
  },
});
