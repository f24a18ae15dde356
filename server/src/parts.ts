import { randomFillSync } from 'node:crypto';
import { DEFAULT_PROJECT, Keys } from './access/keys.ts';
import type { Config } from './config.ts';
import { makeDataDirectory, opennessOf } from './control/data-directory.ts';
import { alreadyRunning, AlreadyRunningError, ControlServer } from './control/server.ts';
import { finishSwap } from './control/swap.ts';
import { EngineThread } from './delivery/engine-thread.ts';
import { dialectOf, engineOptions, transportOptions } from './drivers.ts';
import { EventIds } from './event/ids.ts';
import { StoreError } from './event/store-error.ts';
import { readProblem } from './http/problems.ts';
import { VERSION } from './http/version.ts';
import { BodyBudget } from './ingest/body.ts';
import { Encoder } from './ingest/encoder.ts';
import { Ingest } from './ingest/ingest.ts';
import type { ReportSource } from './reports/source.ts';
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
  readonly reports: ReportSource;
  /** Where the API can be reached, once it listens; told to commands. */
  url: string;
  /** Settles every promise the transport gave out, lets the loader finish its batch, closes the stores. */
  close(): Promise<void>;
}

/**
 * Opens what the configuration asks for, and the data directory where one is used.
 * @throws AlreadyRunningError when another process uses it; DirectoryError when it cannot be used; StoreError when
 * events cannot be taken
 */
export async function openParts(config: Config, log: Logger): Promise<Parts> {
  const head = new JournalHead();
  const publisher = await makePublisher(
    transportOptions(config, {
      head,
      onIncomplete: (incomplete) => log.warn(incomplete, INCOMPLETE),
    }),
  );
  const engine = new EngineThread({
    engine: engineOptions(config, head),
    watch: (events, ms) => metrics.insert(events, ms),
    onDeath: (error) => log.error({ error: error.message }, 'the warehouse thread died and is started again'),
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
    reports: reportSource(config, engine, metrics),
    url: '',
    close: async () => {
      await publisher.close();
      await engine.stop().catch((error: unknown) => log.error(error));
      await directory.leave();
    },
  };
  const directory = config.journal ? heldDirectory(parts, engine) : NO_DIRECTORY;
  await openStores(parts, { directory, publisher, engine });
  return parts;
}

/** The data directory, held by this process alone. */
interface Held {
  take(): Promise<void>;
  leave(): Promise<void>;
}

/** After a kill this is a record that was being written, and nobody was told that it is stored. */
const INCOMPLETE =
  'the journal ends in an incomplete record: it was not acknowledged, unless the disk has lost what it had synced';

/** Nothing lies on this machine. */
const NO_DIRECTORY: Held = { take: () => Promise.resolve(), leave: () => Promise.resolve() };

/** The control socket first: it keeps a second process off before any file is touched. */
function heldDirectory(parts: Parts, engine: EngineThread): Held {
  const { dataDirectory } = parts.config;
  const control = controlServer(parts, engine);
  return {
    take: async () => {
      makeDataDirectory(dataDirectory);
      const open = opennessOf(dataDirectory);
      if (open !== undefined) parts.log.warn({ help: open.help }, open.text);
      await control.listen();
      if (finishSwap(dataDirectory) !== undefined)
        parts.log.warn('a restore was interrupted: it is complete now');
    },
    leave: () => control.close(),
  };
}

/** How long a start waits for a warehouse that is not on this machine, in milliseconds: events are taken without it. */
const WAREHOUSE_PATIENCE_MS = 1_000;

interface Stores {
  readonly directory: Held;
  readonly publisher: Publisher;
  readonly engine: EngineThread;
}

async function openStores({ config, log }: Parts, { directory, publisher, engine }: Stores): Promise<void> {
  try {
    await directory.take();
    await publisher.open();
    const stats = await engine.start(WAREHOUSE_PATIENCE_MS);
    if (stats.warehouse === 'open') return;
    if (/Conflicting lock/i.test(stats.reason ?? ''))
      throw new AlreadyRunningError(alreadyRunning(config.dataDirectory));
    log.error(
      { reason: stats.reason },
      stats.warehouse === 'opening'
        ? 'the warehouse has not answered yet; events are taken all the same'
        : 'the warehouse cannot be opened; events are taken all the same',
    );
  } catch (error) {
    await publisher.close();
    await engine.stop().catch(() => undefined);
    await directory.leave();
    throw error;
  }
}

function reportSource(config: Config, engine: EngineThread, metrics: Metrics): ReportSource {
  return {
    dialect: dialectOf(config),
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
