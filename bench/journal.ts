import { statfsSync } from 'node:fs';
import type { EventLine } from '../server/src/event/line.ts';
import { EventLines } from '../server/src/event/lines.ts';
import { JournalHead } from '../server/src/transport/journal/head.ts';
import { JournalPublisher } from '../server/src/transport/journal/publisher.ts';

/** Bytes that a benchmark's journal may take. */
const JOURNAL_BYTES_MAX = 4 * 1_024 * 1_024 * 1_024;

/** Fills a journal through the product's publisher, some batches at a time. */
export async function fillJournal(
  directory: string,
  lines: Iterable<EventLine>,
  batchEvents: number,
): Promise<void> {
  const publisher = new JournalPublisher({
    directory,
    limits: { waitingMax: 10_000, bytesMax: JOURNAL_BYTES_MAX },
    freeBytes: () => {
      const { bavail, bsize } = statfsSync(directory);
      return bavail * bsize;
    },
    freeBytesMin: 0,
    head: new JournalHead(),
    onIncomplete: () => undefined,
    directoryLoss: () => undefined,
    onLoss: () => undefined,
  });
  await publisher.open();
  let waiting: Promise<void>[] = [];
  const publish = async (batch: EventLine[]) => {
    waiting.push(publisher.publish(EventLines.of(batch)));
    if (waiting.length < 32) return;
    await Promise.all(waiting);
    waiting = [];
  };
  let batch: EventLine[] = [];
  for (const line of lines) {
    batch.push(line);
    if (batch.length < batchEvents) continue;
    await publish(batch);
    batch = [];
  }
  if (batch.length > 0) await publish(batch);
  await Promise.all(waiting);
  await publisher.close();
}
