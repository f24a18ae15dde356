import { accessSync, constants, existsSync, readdirSync, statfsSync, statSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { ConfigError, EX_CONFIG, readConfig, type Config } from '../config.ts';
import { DirectoryInUseError, serverOrLock } from '../control/directory-lock.ts';
import { opennessOf } from '../control/data-directory.ts';
import { checkCredentialsFile } from '../credentials.ts';
import { isSwapping, RESTORING_DIRECTORY } from '../control/swap.ts';
import { Engine, type EngineStats } from '../delivery/engine.ts';
import { VERSION } from '../http/version.ts';
import { engineOptions } from '../drivers.ts';
import { modeText } from '../greeting.ts';
import { NODE_MAJOR_MIN } from '../node-version.ts';
import { printable } from '../printable.ts';
import { JOURNAL_DIRECTORY, SET_ASIDE } from '../transport/journal/segments.ts';
import { makePubsubClient } from '../transport/pubsub/client.ts';
import type { Row, Statement } from '../warehouse/contract.ts';
import { isUnheard, publishFault } from '../transport/pubsub/rights.ts';
import { makeBigqueryClient } from '../warehouse/bigquery/client.ts';
import { readFaults } from '../warehouse/bigquery/rights.ts';
import { placeWarnings } from '../warehouse/bigquery/warnings.ts';
import { dailyFinding } from './doctor-daily.ts';
import { checkTimezones } from './doctor-timezones.ts';
import { DUCKDB_FILE } from '../warehouse/duckdb/open-file.ts';
import { checkContents, checkStores as checkBackupStores, openBackup } from './manifest.ts';

/** What a check found: good or not, and then what to do. A warning is told and fails nothing. */
interface Finding {
  readonly good: boolean;
  readonly warning?: true;
  readonly text: string;
  readonly help?: string;
}

/** Checks everything that can be wrong from outside; 1 when something is, 78 when it is the configuration. */
export async function doctor(env: NodeJS.ProcessEnv): Promise<number> {
  process.stdout.write(`Daybook ${VERSION}, Node ${process.versions.node}\n`);
  const config = configOf(env);
  if (config === undefined) return EX_CONFIG;
  const findings = [
    checkNode(),
    ...checkDirectory(config),
    ...checkDisk(config),
    ...(await checkStores(config)),
  ];
  for (const finding of findings) print(finding);
  return findings.every(({ good }) => good) ? 0 : 1;
}

/** Checks a backup, and nothing else; 1 when it cannot be restored. */
export async function checkBackup(directory: string): Promise<number> {
  try {
    const backup = openBackup(resolve(directory), { bare: false });
    const { files, created_at: createdAt, daybook } = backup.manifest!;
    await checkContents(backup.directory, files);
    await checkBackupStores(backup.directory);
    const text = `${backup.directory} is whole: ${files.length} files, made ${createdAt} by Daybook ${daybook}`;
    print({ good: true, text });
    return 0;
  } catch (error) {
    print({ good: false, text: (error as Error).message });
    return 1;
  }
}

/** Characters of one finding; it may quote what a store or a server says. */
const TEXT_MAX = 2_000;

function print({ good, warning, text, help }: Finding): void {
  const sign = warning === true ? '!' : good ? '✓' : '✗';
  process.stdout.write(`${sign} ${printable(text, TEXT_MAX)}\n`);
  if ((!good || warning === true) && help !== undefined) process.stdout.write(`  → ${help}\n`);
}

function configOf(env: NodeJS.ProcessEnv): Config | undefined {
  try {
    const config = readConfig(env);
    checkCredentialsFile(config);
    print({ good: true, text: `the configuration is valid: ${modeText(config)}` });
    return config;
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    for (const fault of error.faults) print({ good: false, text: fault });
    return undefined;
  }
}

function checkNode(): Finding {
  const good = Number(process.versions.node.split('.')[0]) >= NODE_MAJOR_MIN;
  return {
    good,
    text: `Node ${process.versions.node}`,
    help: `Daybook needs Node ${NODE_MAJOR_MIN} or newer`,
  };
}

function checkDirectory({ dataDirectory, journal }: Config): Finding[] {
  if (!journal) return [];
  if (!existsSync(dataDirectory))
    return [{ good: true, text: `${dataDirectory} will be made at the first start` }];
  try {
    accessSync(dataDirectory, constants.R_OK | constants.W_OK);
  } catch {
    return [
      { good: false, text: `${dataDirectory} cannot be written`, help: 'give this user the rights to it' },
    ];
  }
  const open = opennessOf(dataDirectory);
  return [
    { good: true, text: `${dataDirectory} can be written` },
    ...(open === undefined ? [] : [{ good: true, warning: true as const, ...open }]),
    ...checkRestore(dataDirectory),
    ...checkAside(dataDirectory),
  ];
}

/** What an interrupted restore has left. */
function checkRestore(dataDirectory: string): Finding[] {
  if (isSwapping(dataDirectory)) {
    return [
      {
        good: false,
        text: `a restore into ${dataDirectory} was interrupted`,
        help: 'start the server, or call "daybook restore" again: either completes it first',
      },
    ];
  }
  const left = join(dataDirectory, RESTORING_DIRECTORY);
  if (!existsSync(left)) return [];
  const text = `${left} is left of a restore that changed nothing else; the next restore removes it, and so may you`;
  return [{ good: true, warning: true, text }];
}

function checkAside(dataDirectory: string): Finding[] {
  const journal = join(dataDirectory, JOURNAL_DIRECTORY);
  if (!existsSync(journal)) return [];
  const aside = readdirSync(journal).filter((file) => file.startsWith(SET_ASIDE));
  if (aside.length === 0) return [];
  const text = `${journal} holds what was being written when a server was killed: ${aside.join(', ')}`;
  return [
    { good: true, text: `${text}; it was never acknowledged, unless the disk failed, and can be removed` },
  ];
}

function checkDisk({ dataDirectory, diskFreeBytesMin, journal }: Config): Finding[] {
  if (!journal || !existsSync(dataDirectory)) return [];
  const { bavail, bsize } = statfsSync(dataDirectory);
  const free = bavail * bsize;
  const wal = join(dataDirectory, `${DUCKDB_FILE}.wal`);
  const walBytes = existsSync(wal) ? statSync(wal).size : 0;
  return [
    {
      good: free > diskFreeBytesMin,
      text: `${mebibytes(free)} free on the disk, at least ${mebibytes(diskFreeBytesMin)} needed`,
      help: 'free some space: below the limit events are answered with 503',
    },
    { good: true, text: `${mebibytes(walBytes)} of DuckDB's log to replay at a start` },
  ];
}

async function checkStores(config: Config): Promise<Finding[]> {
  if (config.warehouse === 'bigquery') return checkGoogle(config);
  if (!existsSync(config.dataDirectory)) return [STOPPED];
  try {
    const found = await serverOrLock(config.dataDirectory);
    if ('lock' in found) return await found.lock.during(() => checkStopped(config));
    const { pid, url, version } = found.status;
    const running = { good: true, text: `a server runs: process ${pid}, ${url}, ${version}` };
    const findings = storeFindings((await found.server.call('stats')) as EngineStats);
    const query = (statement: Statement) => found.server.call('query', statement);
    return [running, ...findings, ...(await timezoneFindings(config, query))];
  } catch (error) {
    const help = error instanceof DirectoryInUseError ? { help: 'wait for it to end, then try again' } : {};
    return [{ good: false, text: (error as Error).message, ...help }];
  }
}

const STOPPED: Finding = { good: true, text: 'no server runs on the data directory' };

async function checkStopped(config: Config): Promise<Finding[]> {
  if (!existsSync(join(config.dataDirectory, DUCKDB_FILE)) || isSwapping(config.dataDirectory))
    return [STOPPED];
  const engine = new Engine(engineOptions(config));
  try {
    const findings = storeFindings(await engine.start());
    const query = async (statement: Statement) =>
      (await engine.query(statement, { timeoutMs: QUERY_TIMEOUT_MS })).rows;
    return [STOPPED, ...findings, ...(await timezoneFindings(config, query))];
  } finally {
    await engine.stop();
  }
}

/** How long the warehouse may take to answer, in milliseconds. */
const QUERY_TIMEOUT_MS = 30_000;

/** Nothing where the warehouse does not answer: then another finding says why. */
async function timezoneFindings(
  { timezone }: Config,
  query: (statement: Statement) => Promise<unknown>,
): Promise<Finding[]> {
  const rows = async (statement: Statement) => (await query(statement)) as readonly Row[];
  return checkTimezones(rows, timezone, Date.now()).catch(() => []);
}

/** How long BigQuery may take to answer, in milliseconds. */
const GOOGLE_PATIENCE_MS = 30_000;

async function checkGoogle(config: Config): Promise<Finding[]> {
  const { warehouse, eventsMax, intervalMs } = engineOptions(config);
  const engine = new Engine({ warehouse, eventsMax, intervalMs });
  const stats = await engine.start(GOOGLE_PATIENCE_MS);
  await engine.stop();
  const help = '"daybook gcp provision --dry-run" says what is missing';
  const good = stats.warehouse === 'open';
  const text = good ? 'BigQuery is open' : `BigQuery: ${stats.reason ?? 'no answer in time'}`;
  return [{ good, text, help }, ...(await checkPlace(config)), await checkTopic(config, help)];
}

/** Each right and each thing that is missing, and what should be known of what is there. */
async function checkPlace(config: Config): Promise<Finding[]> {
  const { google } = config;
  const { projectId, place, location, bigqueryEmulator: emulator } = google;
  const client = makeBigqueryClient({ projectId, location, emulator });
  try {
    const faults = await readFaults(client, google);
    const warnings = await placeWarnings(client, google);
    return [
      ...faults.map((text) => ({ good: false, text })),
      ...warnings.map((text) => ({ good: true, text: `note: ${text}` })),
      ...(faults.length === 0 ? [await dailyFinding(client, config, Date.now())] : []),
    ];
  } catch (error) {
    return [{ good: false, text: `dataset ${place.dataset}: ${(error as Error).message}` }];
  }
}

async function checkTopic({ google }: Config, help: string): Promise<Finding> {
  const client = makePubsubClient(google.projectId);
  try {
    const fault =
      (await publishFault(client, google)) ??
      ((await isUnheard(client, google.topic))
        ? `topic ${google.topic} has no subscription: what is published is lost`
        : undefined);
    return { good: fault === undefined, text: fault ?? `topic ${google.topic} takes events`, help };
  } catch (error) {
    return { good: false, text: `topic ${google.topic}: ${(error as Error).message}`, help };
  } finally {
    await client.close();
  }
}

function storeFindings(stats: EngineStats): Finding[] {
  const dead = stats.deadLetters.corrupt + stats.deadLetters.rejected;
  return [
    {
      good: stats.warehouse === 'open',
      text:
        stats.warehouse === 'open'
          ? 'the warehouse is open'
          : `the warehouse: ${stats.reason ?? stats.warehouse}`,
      help:
        `stop the server, move ${DUCKDB_FILE} and ${DUCKDB_FILE}.wal aside (keep them), then "daybook restore" the ` +
        'last backup; events that are still in the journal are loaded at the next start',
    },
    {
      good: dead === 0,
      text: `${dead} dead letters since the start`,
      help: '"daybook dead-letters" shows them with their reasons',
    },
  ];
}

function mebibytes(bytes: number): string {
  return `${Math.round(bytes / 1_024 / 1_024).toLocaleString('en')} MiB`;
}
