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

interface CheckedSettings extends ModeSettings {
  readonly DAYBOOK_JOURNAL?: 'on' | 'off' | undefined;
  readonly DAYBOOK_PUBSUB_TIMEOUT_MS: number;
  readonly DAYBOOK_SHUTDOWN_TIMEOUT_MS: number;
}

/** Settings that do not fit the mode which was chosen. */
export function modeFaults(env: CheckedSettings): string[] {
  const { warehouse, because } = chooseMode(env);
  if (warehouse === 'duckdb') {
    if (env.DAYBOOK_JOURNAL !== 'off') return [];
    return ['DAYBOOK_JOURNAL: must be on with the embedded warehouse, which takes events in no other form'];
  }
  const faults: string[] = [];
  if (env.GOOGLE_CLOUD_PROJECT === undefined) {
    faults.push(
      `GOOGLE_CLOUD_PROJECT: must be set with the Google Cloud mode, which is chosen because ${because}`,
    );
  }
  if (env.DAYBOOK_PUBSUB_TIMEOUT_MS >= env.DAYBOOK_SHUTDOWN_TIMEOUT_MS) {
    faults.push(
      'DAYBOOK_PUBSUB_TIMEOUT_MS: must be less than DAYBOOK_SHUTDOWN_TIMEOUT_MS, so that a shutdown can wait for it',
    );
  }
  return faults;
}

const GOOGLE_SETTINGS = [
  'DAYBOOK_WAREHOUSE',
  'GOOGLE_APPLICATION_CREDENTIALS',
  'GOOGLE_CLOUD_PROJECT',
  'BIGQUERY_TABLE_NAME',
  'PUBSUB_TOPIC',
] as const;

/** The settings of Google Cloud that were given, where that mode is chosen. */
export function givenGoogle(env: ModeSettings): Record<string, string> | undefined {
  if (chooseMode(env).warehouse === 'duckdb') return undefined;
  const given = GOOGLE_SETTINGS.map((name) => [name, env[name]] as const);
  return Object.fromEntries(given.filter((one): one is [(typeof one)[0], string] => one[1] !== undefined));
}
