import { randomBytes } from 'node:crypto';
import { availableParallelism } from 'node:os';
import { resolve } from 'node:path';
import { z } from 'zod';
import {
  date,
  int,
  keys,
  listItems,
  MIB,
  oneOf,
  origins,
  tableName,
  tablePlace,
  timezone,
} from './config-values.ts';
import { exposureFaults, missingKeys } from './exposure.ts';
import { chooseMode, givenGoogle, modeFaults } from './mode.ts';

/**
 * Every variable that Daybook reads. `docs/configuration.md` is generated from the descriptions and defaults;
 * defaults are written as they would stand in the environment.
 */
export const ENVIRONMENT = z.object({
  HOST: z
    .string()
    .min(1)
    .default('127.0.0.1')
    .describe('Address to listen on. Any other than a loopback address needs keys.'),
  PORT: int(0, 65_535).default(3_000).describe('Port to listen on; 0 takes a free one.'),
  DAYBOOK_DATA_DIR: z
    .string()
    .min(1)
    .default('daybook-data')
    .describe(
      'Directory of the journal and the warehouse. Made when it is missing. Not used by BigQuery without a journal.',
    ),
  DAYBOOK_TIMEZONE: timezone
    .default('UTC')
    .describe(
      'Reporting timezone: where a day begins. IANA name. A change makes the rollups anew at the next start; with ' +
        'BigQuery it needs `daybook gcp provision`.',
    ),
  DAYBOOK_WRITE_KEYS: keys
    .default([])
    .describe(
      'Keys that may send events, separated by commas; `Authorization: Bearer KEY`. None: no key is asked.',
    ),
  DAYBOOK_READ_KEYS: keys
    .default([])
    .describe(
      'Keys that may read reports, dead letters and metrics, separated by commas. None: no key is asked.',
    ),
  DAYBOOK_ALLOW_ANONYMOUS: oneOf(['on', 'off'])
    .default('off')
    .describe(
      '`on`: no keys are needed on an address that other machines can reach, for example where a gateway in front checks them.',
    ),
  DAYBOOK_MAKE_KEYS: oneOf(['on', 'off'])
    .default('off')
    .describe(
      '`on`, as in the image: where keys are missing, a server with the embedded warehouse makes them at its first start, prints ' +
        'them once and keeps their hashes in the data directory.',
    ),
  DAYBOOK_CORS_ORIGINS: origins
    .default([])
    .describe(
      'Origins whose pages may call the API, e.g. `https://app.example`, separated by commas; `*` is any. None: CORS is off.',
    ),
  DAYBOOK_LOG_LEVEL: oneOf(['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'])
    .default('info')
    .describe('Least severe log line that is written.'),
  DAYBOOK_LOG_FORMAT: oneOf(['plain', 'google'])
    .default('plain')
    .describe('`google` names severity, message, request and trace in log lines as Cloud Logging does.'),
  DAYBOOK_LOG_REQUESTS: oneOf(['all', 'errors', 'none'])
    .default('errors')
    .describe('Which requests get a log line: all, those answered with 4xx or 5xx, or none.'),
  DAYBOOK_EVENT_TIME_MIN: date
    .default('2000-01-01')
    .describe('Earliest day (UTC) that an event_time may lie on.'),
  DAYBOOK_EVENT_TIME_AHEAD_S: int(0, 366 * 86_400)
    .default(86_400)
    .describe('How far ahead of the server clock an event_time may lie, in seconds.'),
  DAYBOOK_JOURNAL_BYTES_MAX: int(MIB, 1_024 * 1_024 * MIB)
    .default(1_024 * MIB)
    .describe('Bytes of events that may wait in the journal. Beyond it events are answered with 503.'),
  DAYBOOK_JOURNAL_WAITING_MAX: int(1, 1_000_000)
    .default(10_000)
    .describe(
      'Requests that may wait for the journal, or for Pub/Sub, at the same time. Beyond it they are answered with 503.',
    ),
  DAYBOOK_DISK_FREE_BYTES_MIN: int(0, 1_024 * 1_024 * MIB)
    .default(64 * MIB)
    .describe('Free bytes that the journal leaves on the disk. Below it events are answered with 503.'),
  DAYBOOK_BODY_BYTES_IN_FLIGHT_MAX: int(MIB, 1_024 * 1_024 * MIB)
    .default(128 * MIB)
    .describe(
      'Bytes of request bodies held in memory at the same time, until their events are stored. Beyond it requests are ' +
        'answered with 503; a quarter is kept for bodies up to 16 KiB.',
    ),
  DAYBOOK_REQUEST_TIMEOUT_MS: int(100, 3_600_000)
    .default(30_000)
    .describe(
      'Longest time that a request may take to arrive, in milliseconds; then it is answered with 408.',
    ),
  DAYBOOK_HTTP_KEEP_ALIVE_MS: int(1_000, 3_600_000)
    .default(72_000)
    .describe(
      'How long a connection may be idle, in milliseconds. It must be longer than the proxy in front keeps its own, or that sends ' +
        'requests into a connection that closes, and answers 502: common ones keep it 60 s, load balancers of Google 600 s.',
    ),
  DAYBOOK_QUERY_TIMEOUT_MS: int(100, 3_600_000)
    .default(30_000)
    .describe('Longest time that a report may take, in milliseconds; then it is answered with 504.'),
  DAYBOOK_LOADER_EVENTS_MAX: int(1, 1_000_000)
    .default(122_880)
    .describe('Events that the loader inserts into DuckDB in one batch.'),
  DAYBOOK_LOADER_INTERVAL_MS: int(0, 60_000)
    .default(200)
    .describe('Shortest time from one insert to the next while the batches are small, in milliseconds.'),
  DAYBOOK_DUCKDB_MEMORY_BYTES_MAX: int(64 * MIB, 1_024 * 1_024 * MIB)
    .default(1_024 * MIB)
    .describe('Memory that DuckDB may use; it spills to disk beyond.'),
  DAYBOOK_DUCKDB_THREADS: int(1, 1_024)
    .default(() => availableParallelism())
    .describe('Threads that DuckDB may use. Default: the number of cores that the process may use.'),
  DAYBOOK_WAREHOUSE: oneOf(['duckdb', 'bigquery'])
    .optional()
    .describe(
      'Where events end up: `duckdb` in the data directory, or `bigquery`, reached through Pub/Sub. Default: `bigquery` ' +
        'where BIGQUERY_TABLE_NAME, PUBSUB_TOPIC, or GOOGLE_CLOUD_PROJECT together with GOOGLE_APPLICATION_CREDENTIALS is ' +
        'set, else `duckdb`. The server says at its start which one it is, and why.',
    ),
  DAYBOOK_JOURNAL: oneOf(['on', 'off'])
    .optional()
    .describe(
      'With `bigquery`: `on` keeps events in a journal on the disk first and sends them on from there, so that an ' +
        'outage of Pub/Sub costs clients nothing. With `duckdb` it is always on. Default: `off` with `bigquery`.',
    ),
  GOOGLE_CLOUD_PROJECT: z
    .string()
    .regex(/^[a-z0-9.:-]{4,60}$/, 'must be a project id')
    .optional()
    .describe('Project of the topic, and of queries. Needed with `bigquery`.'),
  GOOGLE_APPLICATION_CREDENTIALS: z
    .string()
    .min(1)
    .optional()
    .describe(
      'Key file, read by the clients of Google. Not needed where the surroundings give credentials, as GKE does.',
    ),
  BIGQUERY_TABLE_NAME: tableName
    .optional()
    .describe(
      'Table that the subscription writes, as project.dataset.table, dataset.table or table. Project: by default ' +
        'GOOGLE_CLOUD_PROJECT; dataset: by default `daybook`. Views lie beside it, named after it. Default: `daybook.events`.',
    ),
  PUBSUB_TOPIC: z
    .string()
    .regex(/^[A-Za-z][\w.~+%-]{2,240}$/, 'must be the name of a topic, without its project')
    .optional()
    .describe('Topic that events are published to. Default: `analytics`.'),
  PUBSUB_EMULATOR_HOST: z.string().min(1).optional().describe('host:port of a Pub/Sub emulator.'),
  BIGQUERY_EMULATOR_HOST: z.string().min(1).optional().describe('URL of a BigQuery emulator.'),
  DAYBOOK_BIGQUERY_LOCATION: z
    .string()
    .regex(/^[A-Za-z0-9-]{2,40}$/, 'must be a location of BigQuery, e.g. EU or europe-north1')
    .default('US')
    .describe('Location of the dataset.'),
  DAYBOOK_BIGQUERY_BYTES_BILLED_MAX: int(10 * MIB, 1_024 * 1_024 * 1_024 * MIB)
    .default(10 * 1_024 * MIB)
    .describe('Bytes that one query may be billed for; one that would need more fails and costs nothing.'),
  DAYBOOK_BIGQUERY_STALENESS_MS: int(0, 86_400_000)
    .default(60_000)
    .describe(
      'For how long a report from BigQuery may be shown again before it is asked anew, in milliseconds.',
    ),
  DAYBOOK_BIGQUERY_DAILY_MINUTES: int(5, 1_440)
    .default(15)
    .describe(
      'How often the scheduled query makes the table of days anew that reports from BigQuery read, in minutes; `gcp provision` sets ' +
        'it. The server and `doctor` say when four runs are missing.',
    ),
  DAYBOOK_PUBSUB_TIMEOUT_MS: int(100, 600_000)
    .default(5_000)
    .describe(
      'Longest time until Pub/Sub has acknowledged events, retries included; then they are answered with 503.',
    ),
  DAYBOOK_PUBSUB_EVENTS_IN_FLIGHT_MAX: int(1, 10_000_000)
    .default(100_000)
    .describe('Events on their way to Pub/Sub at the same time. Beyond it events are answered with 503.'),
  DAYBOOK_PUBSUB_BYTES_IN_FLIGHT_MAX: int(MIB, 1_024 * 1_024 * MIB)
    .default(64 * MIB)
    .describe('Bytes on their way to Pub/Sub at the same time. Beyond it events are answered with 503.'),
  DAYBOOK_SHUTDOWN_TIMEOUT_MS: int(100, 600_000)
    .default(20_000)
    .describe('Longest time that a graceful shutdown may take, in milliseconds.'),
});

type Environment = z.output<typeof ENVIRONMENT>;

/** The settings that decide who can reach the server; read apart, so that their faults show with all others. */
const ACCESS = ENVIRONMENT.pick({
  HOST: true,
  DAYBOOK_WRITE_KEYS: true,
  DAYBOOK_READ_KEYS: true,
  DAYBOOK_ALLOW_ANONYMOUS: true,
  DAYBOOK_MAKE_KEYS: true,
});

/** The settings that decide where events go. */
const WAY = ENVIRONMENT.pick({
  DAYBOOK_PUBSUB_TIMEOUT_MS: true,
  DAYBOOK_SHUTDOWN_TIMEOUT_MS: true,
  DAYBOOK_WAREHOUSE: true,
  DAYBOOK_JOURNAL: true,
  GOOGLE_CLOUD_PROJECT: true,
  GOOGLE_APPLICATION_CREDENTIALS: true,
  BIGQUERY_TABLE_NAME: true,
  PUBSUB_TOPIC: true,
});

/** The whole configuration: typed, checked, frozen. Names carry their unit. */
export type Config = Readonly<ReturnType<typeof toConfig>>;

/** The environment has faults; all of them are in `faults`, one line each, starting with the variable's name. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
  readonly faults: readonly string[];

  constructor(faults: readonly string[]) {
    super(
      faults.length === 1
        ? `the configuration has a fault: ${faults[0]}`
        : `the configuration has ${faults.length} faults:\n${faults.map((fault) => `  ${fault}`).join('\n')}`,
    );
    this.faults = faults;
  }
}

/** sysexits.h EX_CONFIG: the exit code of a process whose configuration is wrong. */
export const EX_CONFIG = 78;

/**
 * Environment → Config. An empty value counts as not set. Unknown `DAYBOOK_*` variables are faults.
 * @throws ConfigError with every fault at once
 */
export function readConfig(env: NodeJS.ProcessEnv = process.env, newKey: () => string = randomKey): Config {
  const given = Object.fromEntries(
    Object.entries(env).filter(([, value]) => value !== undefined && value !== ''),
  );
  const known = new Set(Object.keys(ENVIRONMENT.shape));
  const faults = Object.keys(given)
    .filter((name) => name.startsWith('DAYBOOK_') && !known.has(name))
    .map((name) => `${name} is not a setting of Daybook; see docs/configuration.md`);
  const parsed = ENVIRONMENT.safeParse(given);
  for (const { path, message } of parsed.error?.issues ?? []) faults.push(faultText(path, message, given));
  const access = ACCESS.safeParse(given);
  const way = WAY.safeParse(given);
  const google = way.success ? givenGoogle(way.data) : undefined;
  if (access.success) faults.push(...exposureFaults(access.data, google, newKey));
  if (way.success) faults.push(...modeFaults(way.data));
  if (!parsed.success || faults.length > 0) throw new ConfigError(faults);
  return Object.freeze(toConfig(parsed.data));
}

/** Sets variables that native libraries read, where nobody has set them. Only the main thread's environment is the process's. */
export function provideEnvironment(variables: Readonly<Record<string, string>>): void {
  // Node's own ICU reads its timezones now, before it could take those meant for another library.
  new Intl.DateTimeFormat('en', { timeZone: 'Europe/Helsinki' }).format(0);
  for (const [name, value] of Object.entries(variables)) process.env[name] ??= value;
}

/** A key that nobody guesses. */
export function randomKey(): string {
  return randomBytes(24).toString('base64url');
}

/** Settings whose value is never shown. */
const SECRET: readonly string[] = ['DAYBOOK_WRITE_KEYS', 'DAYBOOK_READ_KEYS'];

/** Characters of a value that a fault shows. */
const VALUE_CHARS_SHOWN = 100;

/** What is wrong with a setting, or with one item of its list: its name, what is allowed, what was given. */
function faultText([name, index]: readonly PropertyKey[], message: string, given: NodeJS.ProcessEnv): string {
  const text = given[String(name)] ?? '';
  const item = typeof index === 'number' ? (listItems(text)[index] ?? '') : text;
  const shown = SECRET.includes(String(name))
    ? ''
    : `, not ${JSON.stringify(item.slice(0, VALUE_CHARS_SHOWN))}`;
  return `${String(name)}: ${message}${shown}`;
}

function toConfig(env: Environment) {
  const { warehouse, because } = chooseMode(env);
  return {
    host: env.HOST,
    port: env.PORT,
    dataDirectory: resolve(env.DAYBOOK_DATA_DIR),
    timezone: env.DAYBOOK_TIMEZONE,
    writeKeys: env.DAYBOOK_WRITE_KEYS,
    readKeys: env.DAYBOOK_READ_KEYS,
    /** SHA-256 of keys that are valid too, in hexadecimal; filled by `serve.ts` from the data directory. */
    keyHashes: { write: [] as readonly string[], read: [] as readonly string[] },
    /** Keys that the server makes at its first start. */
    keysToMake: warehouse === 'duckdb' && env.DAYBOOK_MAKE_KEYS === 'on' ? missingKeys(env) : [],
    corsOrigins: env.DAYBOOK_CORS_ORIGINS,
    logLevel: env.DAYBOOK_LOG_LEVEL,
    logFormat: env.DAYBOOK_LOG_FORMAT,
    logRequests: env.DAYBOOK_LOG_REQUESTS,
    eventTimeMinS: Date.parse(env.DAYBOOK_EVENT_TIME_MIN) / 1_000,
    eventTimeAheadS: env.DAYBOOK_EVENT_TIME_AHEAD_S,
    journalBytesMax: env.DAYBOOK_JOURNAL_BYTES_MAX,
    journalWaitingMax: env.DAYBOOK_JOURNAL_WAITING_MAX,
    diskFreeBytesMin: env.DAYBOOK_DISK_FREE_BYTES_MIN,
    bodyBytesInFlightMax: env.DAYBOOK_BODY_BYTES_IN_FLIGHT_MAX,
    requestTimeoutMs: env.DAYBOOK_REQUEST_TIMEOUT_MS,
    keepAliveMs: env.DAYBOOK_HTTP_KEEP_ALIVE_MS,
    queryTimeoutMs: env.DAYBOOK_QUERY_TIMEOUT_MS,
    loaderEventsMax: env.DAYBOOK_LOADER_EVENTS_MAX,
    loaderIntervalMs: env.DAYBOOK_LOADER_INTERVAL_MS,
    duckdbMemoryBytesMax: env.DAYBOOK_DUCKDB_MEMORY_BYTES_MAX,
    duckdbThreads: env.DAYBOOK_DUCKDB_THREADS,
    shutdownTimeoutMs: env.DAYBOOK_SHUTDOWN_TIMEOUT_MS,
    warehouse,
    /** Why it is this warehouse, in words that follow "because". */
    warehouseBecause: because,
    /** Whether events go into a journal in the data directory first. */
    journal: warehouse === 'duckdb' || env.DAYBOOK_JOURNAL === 'on',
    google: toGoogle(env),
  };
}

/** Google Cloud's part; used with `bigquery` only. */
function toGoogle(env: Environment) {
  const projectId = env.GOOGLE_CLOUD_PROJECT ?? '';
  return {
    /** Project of the topic, and the one in which queries run; tables may lie in another. */
    projectId,
    place: { projectId, dataset: 'daybook', table: 'events', ...tablePlace(env.BIGQUERY_TABLE_NAME) },
    location: env.DAYBOOK_BIGQUERY_LOCATION,
    topic: env.PUBSUB_TOPIC ?? 'analytics',
    credentialsFile: env.GOOGLE_APPLICATION_CREDENTIALS,
    pubsubEmulator: env.PUBSUB_EMULATOR_HOST !== undefined,
    bigqueryEmulator: env.BIGQUERY_EMULATOR_HOST !== undefined,
    bytesBilledMax: env.DAYBOOK_BIGQUERY_BYTES_BILLED_MAX,
    stalenessMs: env.DAYBOOK_BIGQUERY_STALENESS_MS,
    /** From one run of the scheduled query to the next. */
    dailyMinutes: env.DAYBOOK_BIGQUERY_DAILY_MINUTES,
    publishTimeoutMs: env.DAYBOOK_PUBSUB_TIMEOUT_MS,
    eventsInFlightMax: env.DAYBOOK_PUBSUB_EVENTS_IN_FLIGHT_MAX,
    bytesInFlightMax: env.DAYBOOK_PUBSUB_BYTES_IN_FLIGHT_MAX,
  };
}
