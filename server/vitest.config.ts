import { defineConfig } from 'vitest/config';

/** Everything that needs only npm. The fault tests have a configuration of their own. */
export default defineConfig({
  test: {
    include: ['src/**/*.spec.ts', 'test/**/*.test.ts'],
    exclude: [
      'test/faults/**',
      'test/load/**',
      'test/api/**',
      'test/fuzz/**',
      'test/deploy/**',
      'test/cloud/**',
    ],
    pool: 'forks',
    testTimeout: 60_000,
    hookTimeout: 60_000,
  },
});
