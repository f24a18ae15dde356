import { statfsSync } from 'node:fs';
import type { Config } from './config.ts';
import type { EngineOptions } from './delivery/engine.ts';
import type { JournalHead } from './transport/journal/head.ts';
import type { JournalPublisherOptions } from './transport/journal/publisher.ts';
import type { TransportOptions } from './transport/open.ts';
import type { PubsubPublisherOptions } from './transport/pubsub/publisher.ts';
import { bigqueryDialect } from './warehouse/bigquery/dialect.ts';
import { bigquerySupports } from './warehouse/bigquery/supports.ts';
import { tableFieldsOf, type TableToWatch } from './warehouse/bigquery/table-fields.ts';
import type { BigqueryWarehouseOptions } from './warehouse/bigquery/warehouse.ts';
import type { WarehouseSupports } from './warehouse/contract.ts';
import type { Dialect } from './warehouse/dialect.ts';
import { duckdbDialect } from './warehouse/duckdb/dialect.ts';
import { duckdbSupports } from './warehouse/duckdb/supports.ts';

/* Which drivers a configuration asks for, and what each is told of it. */

/** Settings of the warehouse thread. */
/** `head` where a publisher writes to the journal beside it. */
export function engineOptions(config: Config, head?: JournalHead): EngineOptions {
  const { dataDirectory: directory, loaderIntervalMs: intervalMs } = config;
  const journal = head === undefined ? { directory } : { directory, head: head.shared };
  if (config.warehouse === 'duckdb') {
    const { timezone, duckdbMemoryBytesMax: memoryBytesMax, duckdbThreads: threads } = config;
    const warehouse = { driver: 'duckdb', directory, timezone, memoryBytesMax, threads } as const;
    return { warehouse, journal, eventsMax: config.loaderEventsMax, intervalMs };
  }
  const warehouse = { driver: 'bigquery', ...bigqueryOptions(config) } as const;
  const forward = config.journal
    ? { journal, forwardTo: pubsubOptions(config), forwardTable: tableToWatch(config) }
    : {};
  return { warehouse, ...forward, eventsMax: FORWARD_EVENTS_MAX, intervalMs };
}

/** Events that are taken out of the journal and sent on at a time. */
const FORWARD_EVENTS_MAX = 10_000;

export function bigqueryOptions({ google, timezone }: Config): BigqueryWarehouseOptions {
  const { projectId, place, location, bytesBilledMax, stalenessMs, bigqueryEmulator: emulator } = google;
  return { projectId, place, location, timezone, bytesBilledMax, stalenessMs, emulator };
}

/** Settings of the publisher that sends to Pub/Sub, from the server or out of its journal. */
export function pubsubOptions({ google, journalWaitingMax }: Config): PubsubPublisherOptions {
  return {
    projectId: google.projectId,
    topic: google.topic,
    limits: { waitingMax: journalWaitingMax, bytesMax: google.bytesInFlightMax },
    eventsMax: google.eventsInFlightMax,
    timeoutMs: google.publishTimeoutMs,
  };
}

/** Events on their way to a table that lacks a column leave its field out. */
function tableToWatch({ google }: Config): TableToWatch {
  const { projectId, place, location, bigqueryEmulator: emulator } = google;
  return { projectId, place, location, emulator };
}

/** Where events go first. */
export function transportOptions(
  config: Config,
  journal: Pick<JournalPublisherOptions, 'head' | 'onIncomplete' | 'directoryLoss' | 'onLoss'>,
): TransportOptions {
  if (!config.journal)
    return { driver: 'pubsub', ...pubsubOptions(config), fields: tableFieldsOf(tableToWatch(config)) };
  return {
    driver: 'journal',
    directory: config.dataDirectory,
    limits: { waitingMax: config.journalWaitingMax, bytesMax: config.journalBytesMax },
    freeBytes: () => {
      const { bavail, bsize } = statfsSync(config.dataDirectory);
      return bavail * bsize;
    },
    freeBytesMin: config.diskFreeBytesMin,
    ...journal,
  };
}

/** The SQL that reports are written in. */
export function dialectOf(config: Config): Dialect {
  return config.warehouse === 'duckdb'
    ? duckdbDialect
    : bigqueryDialect(config.google.place, config.timezone);
}

/** What the warehouse can do, told without opening it. */
export function supportsOf(config: Config): WarehouseSupports {
  return config.warehouse === 'duckdb' ? duckdbSupports : bigquerySupports(config.google.stalenessMs);
}
