import { statSync } from 'node:fs';
import type { Config } from '../config.ts';
import type { ControlClient } from '../control/client.ts';
import { serverOrLock } from '../control/directory-lock.ts';
import { finishSwap } from '../control/swap.ts';
import { Engine } from '../delivery/engine.ts';
import type { Row, RollupFault, ExportSlice, Statement } from '../warehouse/contract.ts';
import { engineOptions } from '../drivers.ts';

/** How long a command waits for the loader to take in what the journal holds, in milliseconds. */
const DRAIN_MS = 600_000;

/** What commands do with the data, through the running server or in place. */
export interface Reach {
  query(statement: Statement): Promise<readonly Row[]>;
  verify(): Promise<readonly RollupFault[]>;
  exportTo(slice: ExportSlice): Promise<void>;
  backup(directory: string): Promise<void>;
  /** Waits until everything acknowledged before the call is in the warehouse. */
  drain(): Promise<void>;
}

/**
 * Runs the work on the data: through the server that holds the data directory when one runs, else in place, with the
 * directory locked.
 * @throws Error when the warehouse cannot be opened; DirectoryInUseError when another command works on the directory
 */
export async function reach<T>(config: Config, work: (data: Reach) => Promise<T>): Promise<T> {
  if (!config.journal) return inPlace(config, work);
  if (statSync(config.dataDirectory, { throwIfNoEntry: false })?.isDirectory() !== true)
    throw new Error(`there is no data directory ${config.dataDirectory}`);
  const found = await serverOrLock(config.dataDirectory);
  return 'server' in found
    ? work(throughServer(found.server))
    : found.lock.during(() => {
        finishSwap(config.dataDirectory);
        return inPlace(config, work);
      });
}

async function inPlace<T>(config: Config, work: (data: Reach) => Promise<T>): Promise<T> {
  const engine = new Engine(engineOptions(config));
  try {
    const { warehouse, reason } = await engine.start();
    if (warehouse !== 'open')
      throw new Error(`${reason ?? 'the warehouse cannot be opened'}; run "daybook doctor"`);
    await drained(engine.drain(DRAIN_MS));
    return await work(ofEngine(engine));
  } finally {
    await engine.stop();
  }
}

function throughServer(client: ControlClient): Reach {
  return {
    query: async (statement) => (await client.call('query', statement)) as readonly Row[],
    verify: async () => (await client.call('verify')) as readonly RollupFault[],
    exportTo: async (slice) => void (await client.call('export', slice)),
    backup: async (directory) => void (await client.call('backup', directory)),
    drain: async () => drained(client.call('drain', DRAIN_MS)),
  };
}

function ofEngine(engine: Engine): Reach {
  return {
    query: async (statement) => (await engine.query(statement, { timeoutMs: DRAIN_MS })).rows,
    verify: () => engine.verify(),
    exportTo: (slice) => engine.exportTo(slice),
    backup: (directory) => engine.backup(directory),
    drain: () => drained(engine.drain(DRAIN_MS)),
  };
}

async function drained(done: Promise<unknown>): Promise<void> {
  if (!(await done)) throw new Error('the loader does not come through; run "daybook doctor"');
}
