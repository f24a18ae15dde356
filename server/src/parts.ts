import { randomUUIDv7 } from 'node:crypto';
import { mkdirSync, statfsSync } from 'node:fs';
import { DEFAULT_PROJECT, Keys } from './access/keys.ts';
import type { Config } from './config.ts';
import { alreadyRunning, AlreadyRunningError, ControlServer } from './control/server.ts';
import type { EngineOptions } from './delivery/engine.ts';
import { EngineThread } from './delivery/engine-thread.ts';
import { StoreError } from './event/store-error.ts';
import { readProblem } from './http/problems.ts';
import { VERSION } from './http/version.ts';
import { BodyBudget } from './ingest/body.ts';
import { Ingest } from './ingest/ingest.ts';
import type { ReportSource } from './reports/source.ts';
import { Health } from './telemetry/health.ts';
import type { Logger } from './telemetry/log.ts';
import { Metrics } from './telemetry/metrics.ts';
import { LmdbPublisher } from './transport/journal/publisher.ts';
import { markClean, recoverJournal } from './transport/journal/recover.ts';
import type { Publisher } from './transport/contract.ts';
import type { ExportSlice, Statement } from './warehouse/contract.ts';
import { duckdbDialect } from './warehouse/duckdb/dialect.ts';

/** The house's parts, opened and connected; what the routes are made of. */
export interface Parts {
  readonly config: Config;
  readonly log: Logger;
  readonly keys: Keys;
  readonly metrics: Metrics;
  readonly health: Health;
  readonly ingest: Ingest;
  readonly budget: BodyBudget;
  readonly reports: ReportSource;
  /** Where the API can be reached, once it listens; told to commands. */
  url: string;
  /** Settles every promise the journal gave out, lets the loader finish its batch, closes the stores. */
  close(): Promise<void>;
}

/** Settings of the warehouse thread. */
export function engineOptions(config: Config): EngineOptions {
  return {
    directory: config.dataDirectory,
    timezone: config.timezone,
    journalBytesMax: config.journalBytesMax,
    memoryBytesMax: config.duckdbMemoryBytesMax,
    threads: config.duckdbThreads,
    eventsMax: config.loaderEventsMax,
    intervalMs: config.loaderIntervalMs,
  };
}

/**
 * Opens the data directory and everything that lives in it.
 * @throws AlreadyRunningError when another process uses it; StoreError when the journal cannot be opened
 */
export async function openParts(config: Config, log: Logger): Promise<Parts> {
  mkdirSync(config.dataDirectory, { recursive: true });
  const publisher = journalPublisher(config);
  const engine = new EngineThread({
    engine: engineOptions(config),
    watch: (events, ms) => metrics.insert(events, ms),
    onDeath: (error) => log.error({ error: error.message }, 'the warehouse thread died and is started again'),
  });
  const metrics = new Metrics({
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
      project: DEFAULT_PROJECT,
      now: Date.now,
      newEventId: () => randomUUIDv7(),
      eventTimeMinS: config.eventTimeMinS,
      eventTimeAheadS: config.eventTimeAheadS,
    }),
    reports: reportSource(config, engine, metrics),
    url: '',
    close: async () => {
      await publisher.close();
      await engine.stop().catch((error: unknown) => log.error(error));
      markClean(config.dataDirectory);
      await control.close();
    },
  };
  const control = controlServer(parts, engine);
  await openStores(parts, { control, publisher, engine });
  return parts;
}

function journalPublisher(config: Config): Publisher {
  return new LmdbPublisher({
    directory: config.dataDirectory,
    limits: { waitingMax: config.journalWaitingMax, bytesMax: config.journalBytesMax },
    freeBytes: () => {
      const { bavail, bsize } = statfsSync(config.dataDirectory);
      return bavail * bsize;
    },
    freeBytesMin: config.diskFreeBytesMin,
  });
}

interface Stores {
  readonly control: ControlServer;
  readonly publisher: Publisher;
  readonly engine: EngineThread;
}

/** The control socket first: it keeps a second process off before any file is touched. */
async function openStores({ config, log }: Parts, { control, publisher, engine }: Stores): Promise<void> {
  try {
    await control.listen();
    const recovery = recoverJournal(config.dataDirectory, Date.now());
    if (recovery !== undefined)
      log.error(recovery, 'the journal was damaged: what could be read of it was kept');
    await publisher.open();
    const stats = await engine.start();
    if (stats.warehouse === 'open') return;
    if (/Conflicting lock/i.test(stats.reason ?? ''))
      throw new AlreadyRunningError(alreadyRunning(config.dataDirectory));
    const help = 'events are kept in the journal; run "daybook doctor" for the way back';
    log.error({ reason: stats.reason }, `the warehouse cannot be opened: ${help}`);
  } catch (error) {
    await publisher.close();
    await engine.stop().catch(() => undefined);
    await control.close();
    throw error;
  }
}

function reportSource(config: Config, engine: EngineThread, metrics: Metrics): ReportSource {
  return {
    dialect: duckdbDialect,
    project: DEFAULT_PROJECT,
    reportingTimezone: config.timezone,
    query: async (statement) => {
      const startedMs = performance.now();
      try {
        return await engine.query(statement, { timeoutMs: config.queryTimeoutMs });
      } catch (error) {
        throw error instanceof StoreError ? readProblem(error.code, error) : error;
      } finally {
        metrics.query(performance.now() - startedMs);
      }
    },
  };
}

function controlServer(parts: Parts, engine: EngineThread): ControlServer {
  return new ControlServer(parts.config.dataDirectory, {
    status: () => Promise.resolve({ pid: process.pid, url: parts.url, version: VERSION }),
    stats: () => engine.stats(),
    verify: () => engine.verify(),
    query: (statement) => engine.query(statement as Statement, { timeoutMs: parts.config.queryTimeoutMs }),
    backup: (directory) => engine.backup(String(directory)),
    export: (slice) => engine.exportTo(slice as ExportSlice),
    drain: (timeoutMs) => engine.drain(Number(timeoutMs)),
  });
}
