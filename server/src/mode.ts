/** Where events end up, and what in the environment chose it, in words that follow "because". */
export interface Mode {
  readonly warehouse: 'duckdb' | 'bigquery';
  readonly because: string;
}

/** The settings that choose, as they stand in the environment. */
interface ModeSettings {
  readonly DAYBOOK_WAREHOUSE?: 'duckdb' | 'bigquery' | undefined;
  readonly BIGQUERY_TABLE_NAME?: string | undefined;
  readonly PUBSUB_TOPIC?: string | undefined;
  readonly GOOGLE_CLOUD_PROJECT?: string | undefined;
  readonly GOOGLE_APPLICATION_CREDENTIALS?: string | undefined;
}

/** A project alone does not choose Google Cloud: many shells set it for other programs. */
export function chooseMode(env: ModeSettings): Mode {
  const given = env.DAYBOOK_WAREHOUSE;
  if (given !== undefined) return { warehouse: given, because: `DAYBOOK_WAREHOUSE is ${given}` };
  for (const name of ['BIGQUERY_TABLE_NAME', 'PUBSUB_TOPIC'] as const) {
    if (env[name] !== undefined) return { warehouse: 'bigquery', because: `${name} is set` };
  }
  if (env.GOOGLE_CLOUD_PROJECT === undefined) {
    return { warehouse: 'duckdb', because: 'no setting chooses Google Cloud' };
  }
  if (env.GOOGLE_APPLICATION_CREDENTIALS !== undefined) {
    return {
      warehouse: 'bigquery',
      because: 'GOOGLE_CLOUD_PROJECT and GOOGLE_APPLICATION_CREDENTIALS are set',
    };
  }
  return {
    warehouse: 'duckdb',
    because:
      'GOOGLE_CLOUD_PROJECT alone does not choose Google Cloud: BIGQUERY_TABLE_NAME, PUBSUB_TOPIC or ' +
      'GOOGLE_APPLICATION_CREDENTIALS with it does',
  };
}
