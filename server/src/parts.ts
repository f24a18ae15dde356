import { randomFillSync } from 'node:crypto';
import { DEFAULT_PROJECT, Keys } from './access/keys.ts';
import type { Config } from './config.ts';
import { makeDataDirectory, opennessOf } from './control/data-directory.ts';
import { DirectoryInUseError, DirectoryLock, inUseText } from './control/directory-lock.ts';
import { ControlServer } from './control/server.ts';
import { finishSwap } from './control/swap.ts';
import { EngineThread } from './delivery/engine-thread.ts';
import { dialectOf, engineOptions, transportOptions } from './drivers.ts';
import { EventIds } from './event/ids.ts';
import { StoreError } from './event/store-error.ts';
import { readProblem } from './http/problems.ts';
import { VERSION } from './http/version.ts';
import { BodyBudget } from './ingest/body-budget.ts';
import { Encoder } from './ingest/encoder.ts';
import { Ingest } from './ingest/ingest.ts';
import { LateDaily } from './reports/late-daily.ts';
import type { Reports } from './reports/source.ts';
import { Health } from './telemetry/health.ts';
import type { Logger } from './telemetry/log.ts';
import { Metrics } from './telemetry/metrics.ts';
import { JournalHead } from './transport/journal/head.ts';
import type { Publisher } from './transport/contract.ts';
import { makePublisher } from './transport/open.ts';
import type { ExportSlice, Statement } from './warehouse/contract.ts';

/** The house's parts, opened and connected; what the routes are made of. */
export interface Parts {
  readonly config: Config;
  readonly log: Logger;
  readonly keys: Keys;
  readonly metrics: Metrics;
  readonly health: Health;
  readonly ingest: Ingest;
  readonly budget: BodyBudget;
  readonly reports: Reports;
  /** Where the API can be reached, once it listens; told to commands. */
  url: string;
  /** Settles every promise the transport gave out, lets the loader finish its batch, closes the stores. */
  close(): Promise<void>;
}

/**
 * Opens what the configuration asks for, and the data directory where one is used.
 * @throws DirectoryInUseError when another process uses it; DirectoryError when it cannot be used; StoreError when
 * events cannot be taken
 */
export async function openParts(config: Config, log: Logger): Promise<Parts> {
  const head = new JournalHead();
  const publisher = await makePublisher(
    transportOptions(config, {
      head,
      onIncomplete: (incomplete) => log.warn(incomplete, INCOMPLETE),
      directoryLoss: () => directory.loss(),
      onLoss: (reason) => {
        log.fatal({ reason }, LOST);
        parts.health.lose();
        engine.stop().catch((error: unknown) => log.error(error));
      },
    }),
  );
  const engine = new EngineThread({
    engine: engineOptions(config, head),
    watch: (events, ms) => metrics.insert(events, ms),
    onDeath: (error) => log.error({ error: error.message }, 'the warehouse thread died and is started again'),
    onWarning: (text) => log.warn(text),
  });
  const metrics = new Metrics({
    transport: publisher.name,
    publisher: () => publisher.stats(),
    engine: () => engine.stats(),
    now: Date.now,
  });
  const parts: Parts = {
    config,
    log,
    keys: new Keys(config),
    metrics,
    health: new Health(() => engine.stats()),
    budget: new BodyBudget(config.bodyBytesInFlightMax),
    ingest: new Ingest({
      publisher,
      meter: metrics,
      now: Date.now,
      encoder: new Encoder(
        {
          project: DEFAULT_PROJECT,
          eventTimeMinS: config.eventTimeMinS,
          eventTimeAheadS: config.eventTimeAheadS,
        },
        new EventIds((bytes) => randomFillSync(bytes)),
      ),
    }),
    reports: reportsOf(config, { engine, metrics, log }),
    url: '',
    close: async () => {
      await publisher.close();
      await engine.stop().catch((error: unknown) => log.error(error));
      await directory.release();
    },
  };
  const directory = config.journal ? dataDirectory(parts, engine) : NO_DIRECTORY;
  await openStores(parts, { directory, publisher, engine });
  return parts;
}

/** After a kill this is a record that was being written, and nobody was told that it is stored. */
const INCOMPLETE =
  'the journal ends in an incomplete record: it was not acknowledged, unless the disk has lost what it had synced';

const LOST =
  "the data directory is no longer this process's own: events are refused from now on; find out who removed or replaced its files, then start again";

/** The data directory, locked for this process, with the socket on which commands come. */
interface DataDirectory {
  acquire(): Promise<void>;
  /** Why it is not this process's own any more; undefined while it is. */
  loss(): string | undefined;
  release(): Promise<void>;
}

/** No data directory: nothing is stored on this machine. */
const NO_DIRECTORY: DataDirectory = {
  acquire: () => Promise.resolve(),
  loss: () => undefined,
  release: () => Promise.resolve(),
};

/** The lock comes first: it keeps a second process off before any file is touched. */
function dataDirectory(parts: Parts, engine: EngineThread): DataDirectory {
  const path = parts.config.dataDirectory;
  const control = controlServer(parts, engine);
  let lock: DirectoryLock | undefined;
  return {
    acquire: async () => {
      makeDataDirectory(path);
      const open = opennessOf(path);
      if (open !== undefined) parts.log.warn({ help: open.help }, open.text);
      lock = await DirectoryLock.acquire(path);
      await control.listen();
      if (finishSwap(path) !== undefined) parts.log.warn('a restore was interrupted: it is complete now');
    },
    loss: () => lock?.loss(),
    release: async () => {
      await control.close(lock?.loss() !== undefined);
      lock?.release();
    },
  };
}

/** How long a start waits for a warehouse that is not on this machine, in milliseconds: events are taken without it. */
const WAREHOUSE_PATIENCE_MS = 1_000;

interface Stores {
  readonly directory: DataDirectory;
  readonly publisher: Publisher;
  readonly engine: EngineThread;
}

async function openStores({ config, log }: Parts, { directory, publisher, engine }: Stores): Promise<void> {
  try {
    await directory.acquire();
    await publisher.open();
    const stats = await engine.start(WAREHOUSE_PATIENCE_MS);
    if (stats.warehouse === 'open') return;
    if (/Conflicting lock/i.test(stats.reason ?? ''))
      throw new DirectoryInUseError(inUseText(config.dataDirectory));
    log.error(
      { reason: stats.reason },
      stats.warehouse === 'opening'
        ? 'the warehouse has not answered yet; events are taken all the same'
        : 'the warehouse cannot be opened; events are taken all the same',
    );
  } catch (error) {
    await publisher.close();
    await engine.stop().catch(() => undefined);
    await directory.release();
    throw error;
  }
}

interface ReportParts {
  readonly engine: EngineThread;
  readonly metrics: Metrics;
  readonly log: Logger;
}

const LATE = 'reports are old: the scheduled query does not run or fails; "daybook doctor" says more';

function reportsOf(config: Config, { engine, metrics, log }: ReportParts): Reports {
  const late = new LateDaily(config.google, (minutes) => log.warn({ minutes }, LATE));
  return {
    dialect: dialectOf(config),
    project: DEFAULT_PROJECT,
    reportingTimezone: config.timezone,
    ask: async (statement, asking) => {
      const startedMs = performance.now();
      try {
        const answer = await engine.query(statement, { timeoutMs: config.queryTimeoutMs, ...asking });
        if (statement.report === 'daily_table' && answer.asOfUs !== undefined)
          late.answered(answer.asOfUs, Date.now());
        return answer;
      } catch (error) {
        if (asking.signal.aborted) metrics.queryCancelled();
        throw error instanceof StoreError ? readProblem(error.code, error) : error;
      } finally {
        metrics.query(performance.now() - startedMs);
      }
    },
  };
}

/** Longest time of a query that a command asks, in milliseconds; it is stopped when the command ends. */
const COMMAND_QUERY_MS = 600_000;

function controlServer(parts: Parts, engine: EngineThread): ControlServer {
  return new ControlServer(parts.config.dataDirectory, {
    status: () => Promise.resolve({ pid: process.pid, url: parts.url, version: VERSION }),
    stats: () => engine.stats(),
    verify: () => engine.verify(),
    query: async (statement, signal) => {
      const options = { timeoutMs: COMMAND_QUERY_MS, asker: 'command', signal };
      return (await engine.query(statement as Statement, options)).rows;
    },
    backup: (directory) => engine.backup(String(directory)),
    export: (slice, signal) => engine.exportTo(slice as ExportSlice, { signal }),
    drain: (timeoutMs) => engine.drain(Number(timeoutMs)),
  });
}
