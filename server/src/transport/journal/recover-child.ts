import { statSync } from 'node:fs';
import { ABORT } from 'lmdb';
import { CRC_BYTES, openJournalFile, type JournalStore } from './store.ts';

/* A step of `recover.ts`, in a process of its own because reading a damaged file may end it. */

/** Room to read and write beyond what the file holds. */
const SLACK_BYTES = 256 * 1_024 * 1_024;

const [step = '', from = '', to = ''] = process.argv.slice(2);
process.stdout.write(String(run(step, from, to)));

function run(name: string, path: string, target: string): number {
  const source = openJournalFile(path, statSync(path).size + SLACK_BYTES);
  if (name === 'check') return check(source);
  if (name === 'count') return source.records.getKeysCount();
  return copy(source, openJournalFile(target, statSync(path).size + SLACK_BYTES), name === 'backward');
}

/**
 * Reads everything and tries to delete everything, which follows every page; nothing of it is kept. The output
 * is never empty, so that success can be told from death. A record whose checksum alone is wrong is no fault
 * here: the loader makes it a dead letter.
 */
function check(source: JournalStore): number {
  let records = 0;
  let previous = -1;
  for (const { key, value } of source.records.getRange()) {
    if (!isSound(key, value) || key <= previous) throw new Error('a record that was never written');
    previous = key;
    records += 1;
  }
  const { entryCount } = source.records.getStats() as { entryCount: number };
  if (records !== entryCount) throw new Error('records are missing');
  source.root.transactionSync(() => {
    for (const key of source.records.getKeys()) source.records.removeSync(key);
    return ABORT;
  });
  return records;
}

function isSound(key: unknown, value: Buffer): boolean {
  return Number.isSafeInteger(key) && Number(key) >= 0 && value.length > CRC_BYTES;
}

/** Copies records in one direction until the damage; each put is committed, so that death loses nothing. */
function copy(source: JournalStore, target: JournalStore, reverse: boolean): number {
  for (const name of ['id', 'acked']) {
    const value = source.meta.get(name);
    if (value !== undefined) target.meta.putSync(name, value);
  }
  let copied = 0;
  for (const { key, value } of source.records.getRange({ reverse })) {
    if (!isSound(key, value) || target.records.doesExist(key)) break;
    target.records.putSync(key, value);
    copied += 1;
  }
  return copied;
}
