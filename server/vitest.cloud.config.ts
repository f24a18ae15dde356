import { join } from 'node:path';
import { defineConfig } from 'vitest/config';

/** The Google Cloud mode against real engines (Google's Pub/Sub fake, bqemulator, GoogleSQL). One file at a time. */
export default defineConfig({
  // Google's clients are installed apart from the server's own packages.
  resolve: { alias: { '@google-cloud': join(import.meta.dirname, 'google/node_modules/@google-cloud') } },
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
