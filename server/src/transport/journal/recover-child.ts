import { statSync } from 'node:fs';
import { ABORT } from 'lmdb';
import { openJournalFile, type JournalStore } from './store.ts';

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
 * is never empty, so that success can be told from death.
 */
function check(source: JournalStore): number {
  let records = 1;
  for (const { value } of source.records.getRange()) records += value.length > 0 ? 1 : 0;
  source.root.transactionSync(() => {
    for (const key of source.records.getKeys()) source.records.removeSync(key);
    return ABORT;
  });
  return records;
}

/** Copies records in one direction until the damage; each put is committed, so that death loses nothing. */
function copy(source: JournalStore, target: JournalStore, reverse: boolean): number {
  for (const name of ['id', 'acked']) {
    const value = source.meta.get(name);
    if (value !== undefined) target.meta.putSync(name, value);
  }
  let copied = 0;
  for (const { key, value } of source.records.getRange({ reverse })) {
    if (target.records.doesExist(key)) break;
    target.records.putSync(key, value);
    copied += 1;
  }
  return copied;
}
