import { describe, expect, it } from 'vitest';
import { readConfig } from './config.ts';
import { chooseMode } from './mode.ts';

const TABLE = { BIGQUERY_TABLE_NAME: 'events' };
const TOPIC = { PUBSUB_TOPIC: 'analytics' };
const PROJECT = { GOOGLE_CLOUD_PROJECT: 'acme-web' };
const KEY = { GOOGLE_APPLICATION_CREDENTIALS: '/key.json' };

describe('chooseMode()', () => {
  it.each([
    [{}, 'duckdb', /no setting chooses Google Cloud/],
    [PROJECT, 'duckdb', /GOOGLE_CLOUD_PROJECT alone does not/],
    [KEY, 'duckdb', /no setting chooses/],
    [{ ...PROJECT, ...KEY }, 'bigquery', /GOOGLE_CLOUD_PROJECT and GOOGLE_APPLICATION_CREDENTIALS are set/],
    [{ ...PROJECT, ...TABLE }, 'bigquery', /BIGQUERY_TABLE_NAME is set/],
    [{ ...PROJECT, ...TOPIC }, 'bigquery', /PUBSUB_TOPIC is set/],
    [
      { ...PROJECT, ...KEY, ...TABLE, DAYBOOK_WAREHOUSE: 'duckdb' as const },
      'duckdb',
      /DAYBOOK_WAREHOUSE is duckdb/,
    ],
    [{ ...PROJECT, DAYBOOK_WAREHOUSE: 'bigquery' as const }, 'bigquery', /DAYBOOK_WAREHOUSE is bigquery/],
  ] as const)('of %o is %s', (env, warehouse, because) => {
    expect(chooseMode(env)).toEqual({ warehouse, because: expect.stringMatching(because) as string });
    expect(readConfig(env)).toMatchObject({ warehouse, warehouseBecause: chooseMode(env).because });
  });

  it.each([TABLE, TOPIC])(
    'regression: never goes on in the other mode where the project is missing (%o)',
    (env) => {
      expect(() => readConfig(env)).toThrow(/GOOGLE_CLOUD_PROJECT: must be set .* because .* is set/);
    },
  );
});
