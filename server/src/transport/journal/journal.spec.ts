import {
  closeSync,
  cpSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { EventLines } from '../../event/lines.ts';
import { POSITION_MAX } from '../../event/position.ts';
import { CONFORMANCE_LIMITS, describeTransport } from '../conformance.ts';
import type { Damage, PublisherLimits } from '../contract.ts';
import { JournalHead } from './head.ts';
import { JournalPublisher } from './publisher.ts';
import { JOURNAL_DIRECTORY, listSegments, openAcked, segmentPath } from './segments.ts';
import { JournalSource } from './source.ts';
import type { Incomplete, SegmentWriterOptions, WriteAt } from './writer.ts';

const temporary = () => mkdtempSync(join(tmpdir(), 'daybook-journal-'));
const RECEIVE = { eventsMax: 5, bytesMax: 1e9, waitMs: 0, signal: new AbortController().signal };
const ALL = { ...RECEIVE, eventsMax: 1e9 };

interface Made {
  readonly limits?: PublisherLimits;
  readonly freeBytes?: () => number;
  readonly writer?: SegmentWriterOptions;
  readonly directoryLoss?: () => string | undefined;
}

/** Both ends of the journal of a directory, and what was said of its end at the start. */
function make(
  directory: string,
  {
    limits = CONFORMANCE_LIMITS,
    freeBytes = () => 1e12,
    writer = {},
    directoryLoss = () => undefined,
  }: Made = {},
) {
  const losses: string[] = [];
  const head = new JournalHead();
  const incomplete: Incomplete[] = [];
  const publisher = new JournalPublisher({
    directory,
    limits,
    freeBytes,
    freeBytesMin: 1_000_000,
    head,
    onIncomplete: (found) => incomplete.push(found),
    directoryLoss,
    onLoss: (reason) => losses.push(reason),
    writer,
  });
  return { publisher, source: new JournalSource({ directory, head: head.shared }), incomplete, losses };
}

async function opened(directory: string, made: Made = {}) {
  const journal = make(directory, made);
  await journal.publisher.open();
  await journal.source.open([]);
  const publish = (...lines: string[]) => journal.publisher.publish(EventLines.of(lines));
  const close = () => Promise.all([journal.publisher.close(), journal.source.close()]);
  return { ...journal, publish, close };
}

/** Everything that waits, acknowledged. */
async function drain(source: JournalSource): Promise<{ lines: string[]; damaged: Damage[] }> {
  const lines: string[] = [];
  const damaged: Damage[] = [];
  for (
    let delivery = await source.receive(ALL);
    delivery !== undefined;
    delivery = await source.receive(ALL)
  ) {
    lines.push(...delivery.lines.toArray());
    damaged.push(...delivery.damaged);
    await delivery.ack();
  }
  return { lines, damaged };
}

const folder = (directory: string) => join(directory, JOURNAL_DIRECTORY);
const lastSegment = (directory: string) =>
  segmentPath(folder(directory), listSegments(folder(directory)).at(-1)!);

let directory: string;
beforeEach(() => {
  directory = temporary();
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

for (const syncedWrites of [true, false]) {
  describeTransport(`journal (${syncedWrites ? 'synchronous writes' : 'synced after a write'})`, () => {
    const place = temporary();
    return {
      durable: true,
      make: () => make(place, { writer: { syncedWrites } }),
      cleanUp: async () => rmSync(place, { recursive: true, force: true }),
    };
  });
}

describe('JournalPublisher', () => {
  it('refuses beyond waitingMax', async () => {
    const { publish, close } = await opened(directory, { limits: { waitingMax: 2, bytesMax: 1e9 } });
    const results = await Promise.allSettled(['a', 'b', 'c'].map((line) => publish(line)));
    expect(results.map(({ status }) => status)).toEqual(['fulfilled', 'fulfilled', 'rejected']);
    await publish('d');
    await close();
  });

  it('refuses while the disk has too little room, and goes on when it has', async () => {
    let free = 500_000;
    const { publish, close } = await opened(directory, { freeBytes: () => free });
    await expect(publish('a')).rejects.toMatchObject({ code: 'unavailable' });
    free = 2_000_000;
    await publish('a');
    await close();
  });

  it('acknowledges nothing once the directory is lost', async () => {
    let loss: string | undefined;
    const { publish, publisher, losses } = await opened(directory, { directoryLoss: () => loss });
    await publish('a');
    loss = 'it belongs to another process';
    await sleep(300);
    await expect(publish('b')).rejects.toMatchObject({ code: 'unavailable' });
    expect(losses).toEqual([loss]);
    await publisher.close();
  });

  it('does not rely on a look at the directory that is older than 250 ms', async () => {
    let loss: string | undefined;
    const { publish, publisher, losses } = await opened(directory, { directoryLoss: () => loss });
    await publish('a');
    // The thread is held, so that no timer has its turn before the next event is written.
    const heldUntilMs = performance.now() + 300;
    loss = 'it belongs to another process';
    const late = publish('b');
    while (performance.now() < heldUntilMs);
    // Written, but to whose files is not known.
    await expect(late).rejects.toMatchObject({ code: 'timeout' });
    expect(losses).toEqual([loss]);
    await publisher.close();
  });

  it.each([
    ['removed', (path: string) => rmSync(path)],
    ['replaced', (path: string) => (rmSync(path), writeFileSync(path, ''))],
  ])('regression: notices that the segment was %s', async (what, change) => {
    const { publish, publisher, losses } = await opened(directory);
    await publish('a');
    change(lastSegment(directory));
    await sleep(300);
    await expect(publish('b')).rejects.toMatchObject({ code: 'unavailable' });
    expect(losses).toEqual([expect.stringContaining(`was ${what} while events were written to it`)]);
    await publisher.close();
  });

  it('makes no segment in a directory that is lost', async () => {
    let loss: string | undefined;
    const { publish, publisher } = await opened(directory, {
      directoryLoss: () => loss,
      limits: { waitingMax: 10, bytesMax: 1e9 },
    });
    await publish('x'.repeat(5_000_000));
    const before = listSegments(folder(directory));
    loss = 'it belongs to another process';
    await expect(publish('x'.repeat(5_000_000))).rejects.toMatchObject({ code: 'unavailable' });
    await publisher.close();
    expect(listSegments(folder(directory))).toEqual(before);
  });

  it('holds no more than 128 MiB of lines that wait', async () => {
    const { publish, close } = await opened(directory, { limits: { waitingMax: 1_000, bytesMax: 1e9 } });
    const line = 'x'.repeat(30_000_000);
    const results = await Promise.allSettled([1, 2, 3, 4, 5].map(() => publish(line)));
    expect(results.map(({ status }) => status)).toEqual([...Array(4).fill('fulfilled'), 'rejected']);
    await publish('a');
    await close();
  });

  it('refuses a batch that is too large for any journal', async () => {
    const { publish, close } = await opened(directory, { limits: { waitingMax: 10, bytesMax: 1e9 } });
    await expect(publish('x'.repeat(64 * 1_024 * 1_024))).rejects.toMatchObject({ code: 'too-large' });
    await close();
  });

  it('finishes a write that the system took in parts', async () => {
    const writeAt: WriteAt = async (file, bytes, at) =>
      writeSync(file, bytes, 0, Math.min(bytes.length, 10), at);
    const { publish, source, close } = await opened(directory, { writer: { writeAt } });
    await publish('{"n":1}', '{"n":2}');
    expect(await drain(source)).toEqual({ lines: ['{"n":1}', '{"n":2}'], damaged: [] });
    await close();
  });

  it('stores nothing of a batch whose write failed half-way, and goes on with the next', async () => {
    let fail = false;
    const writeAt: WriteAt = async (file, bytes, at) => {
      const written = writeSync(file, bytes, 0, bytes.length, at);
      if (fail) throw Object.assign(new Error('ENOSPC: no space left on device'), { code: 'ENOSPC' });
      return written;
    };
    const first = await opened(directory, { writer: { writeAt } });
    await first.publish('{"n":1}');
    fail = true;
    await expect(first.publish('{"n":2}')).rejects.toMatchObject({ code: 'unavailable' });
    await expect(first.publish('{"n":3}')).rejects.toMatchObject({ code: 'unavailable' });
    fail = false;
    await first.publish('{"n":4}');
    expect(first.publisher.stats().events).toBe(2);
    expect(await drain(first.source)).toEqual({ lines: ['{"n":1}', '{"n":4}'], damaged: [] });
    await first.close();
    rmSync(join(folder(directory), 'acked'));
    const again = await opened(directory);
    // What is acknowledged may be gone; what was refused must not come back.
    expect((await drain(again.source)).lines).not.toContain('{"n":2}');
    await again.close();
  });

  it('says that it is not known whether a batch is stored, when what a failed write left cannot be taken back', async () => {
    let broken = false;
    const writeAt: WriteAt = async (file, bytes, at) => {
      if (!broken) return writeSync(file, bytes, 0, bytes.length, at);
      // Nothing can be done with the file from here on.
      closeSync(file);
      throw Object.assign(new Error('EIO: i/o error'), { code: 'EIO' });
    };
    const { publish, source, close } = await opened(directory, { writer: { writeAt } });
    await publish('{"n":1}');
    broken = true;
    await expect(publish('{"n":2}')).rejects.toMatchObject({ code: 'timeout' });
    broken = false;
    await publish('{"n":3}');
    expect((await drain(source)).lines).toEqual(['{"n":1}', '{"n":3}']);
    await close();
  });

  it('begins a segment when one is full, and removes those that are acknowledged', async () => {
    const { publish, publisher, source, close } = await opened(directory, {
      limits: { waitingMax: 10, bytesMax: 1e9 },
    });
    const pad = 'x'.repeat(1_000_000);
    for (let n = 0; n < 13; n += 1) await publish(`{"n":${n},"pad":"${pad}"}`);
    await publish(`{"n":13,"pad":"${pad.repeat(10)}"}`);
    await publish('{"n":14}');
    expect(listSegments(folder(directory)).length).toBeGreaterThan(3);
    const { bytes } = publisher.stats();
    expect(bytes).toBeGreaterThan(23_000_000);
    expect(bytes).toBeLessThan(23_010_000);
    const { lines, damaged } = await drain(source);
    expect(lines.map((line) => (JSON.parse(line) as { n: number }).n)).toEqual([...Array(15).keys()]);
    expect(damaged).toEqual([]);
    expect(listSegments(folder(directory))).toHaveLength(1);
    expect(publisher.stats()).toMatchObject({ events: 0, bytes: 0 });
    await close();
  });

  it('gives no position that the warehouse knows already, whatever the journal has lost', async () => {
    const first = await opened(directory);
    await first.publish('{"n":1}', '{"n":2}');
    const { position } = (await first.source.receive(ALL))!;
    await first.close();
    for (const file of readdirSync(folder(directory))) {
      if (file.endsWith('.log')) rmSync(join(folder(directory), file));
    }
    const again = make(directory);
    await again.publisher.open();
    await again.source.open([position]);
    await again.publisher.publish(EventLines.of(['{"n":3}']));
    expect(await drain(again.source)).toEqual({ lines: ['{"n":3}'], damaged: [] });
    await Promise.all([again.publisher.close(), again.source.close()]);
  });
});

describe('a record that was being written when the process ended', () => {
  it('is dropped at any length; everything before and after it stays', async () => {
    const first = await opened(directory);
    await first.publish('{"n":1}');
    const before = readFileSync(lastSegment(directory)).findLastIndex((byte) => byte !== 0) + 1;
    await first.publish('{"n":2}', '{"n":3}');
    await first.close();
    const path = lastSegment(directory);
    const file = readFileSync(path);
    const end = file.findLastIndex((byte) => byte !== 0) + 1;
    const lengths = [0, 1, 2, 30, 62, 63, 64, end - before - 2, end - before - 1].map(
      (more) => before + more,
    );
    for (const length of lengths) {
      const place = temporary();
      cpSync(folder(directory), folder(place), { recursive: true });
      writeFileSync(
        lastSegment(place),
        Buffer.concat([file.subarray(0, length), Buffer.alloc(file.length - length)]),
      );
      const again = await opened(place);
      expect(again.incomplete, `length ${length}`).toHaveLength(length === before ? 0 : 1);
      await again.publish('{"n":4}');
      expect(await drain(again.source)).toEqual({ lines: ['{"n":1}', '{"n":4}'], damaged: [] });
      await again.close();
      const third = await opened(place);
      expect([third.incomplete, (await drain(third.source)).lines]).toEqual([[], []]);
      await third.close();
      rmSync(place, { recursive: true });
    }
  });

  it('is kept aside, since only the disk can know whether it was acknowledged', async () => {
    const first = await opened(directory);
    await first.publish('{"n":1}');
    await first.close();
    const path = lastSegment(directory);
    const file = readFileSync(path);
    file[70]! ^= 1;
    writeFileSync(path, file);
    const again = await opened(directory);
    expect(readFileSync(again.incomplete[0]!.setAside!, 'utf8')).toContain('{"n":1}'.slice(8));
    await again.close();
  });
});

describe('JournalSource', () => {
  it('hands out a damaged record as damage, and all others', async () => {
    const { publish, source, close } = await opened(directory);
    for (const line of ['{"n":0}', '{"n":1}', '{"n":2}']) await publish(line);
    const file = readFileSync(lastSegment(directory));
    file.write('{"m":1}', file.indexOf('{"n":1}'));
    writeFileSync(lastSegment(directory), file);
    const { lines, damaged } = await drain(source);
    expect(lines).toEqual(['{"n":0}', '{"n":2}']);
    expect(damaged).toHaveLength(1);
    expect(damaged[0]!.reason).toContain('record 1');
    expect(damaged[0]!.body).toContain('{"m":1}');
    await close();
  });

  it('goes on in the next segment when the rest of one is damaged', async () => {
    const first = await opened(directory);
    for (const line of ['{"n":0}', '{"n":1}', '{"n":2}']) await first.publish(line);
    await first.close();
    const second = await opened(directory);
    await second.publish('{"n":3}');
    await second.close();
    const [segment] = listSegments(folder(directory));
    const path = segmentPath(folder(directory), segment!);
    const file = readFileSync(path);
    writeFileSync(path, file.fill(0xff, file.indexOf('{"n":1}')));
    const third = await opened(directory);
    const { lines, damaged } = await drain(third.source);
    expect(lines).toEqual(['{"n":0}', '{"n":3}']);
    expect(damaged).toHaveLength(1);
    await third.close();
  });

  it('knows the journal by its records when the note of what is acknowledged is lost', async () => {
    const first = await opened(directory);
    await first.publish('{"n":0}');
    const { position } = (await first.source.receive(ALL))!;
    await first.publish('{"n":1}');
    await first.close();
    rmSync(join(folder(directory), 'acked'));
    const again = make(directory);
    await again.publisher.open();
    await again.source.open([position]);
    expect((await drain(again.source)).lines).toEqual(['{"n":1}']);
    await Promise.all([again.publisher.close(), again.source.close()]);
  });

  it('reads a journal that nobody writes to', async () => {
    const { publish, close } = await opened(directory);
    await publish('{"n":0}', '{"n":1}');
    await close();
    const alone = new JournalSource({ directory });
    await alone.open([]);
    expect(alone.acked).toBeLessThan(alone.written!);
    expect((await drain(alone)).lines).toEqual(['{"n":0}', '{"n":1}']);
    expect(alone.acked).toBe(alone.written);
    await alone.close();
  });

  it('sees nothing that is not durable yet', async () => {
    let durable: () => void = () => undefined;
    const writeAt: WriteAt = async (file, bytes, at) => {
      const written = writeSync(file, bytes, 0, bytes.length, at);
      await new Promise<void>((resolve) => (durable = resolve));
      return written;
    };
    const { publish, source, close } = await opened(directory, { writer: { writeAt } });
    const published = publish('{"n":0}');
    await expect.poll(() => readFileSync(lastSegment(directory)).includes('{"n":0}')).toBe(true);
    expect(await source.receive(ALL)).toBeUndefined();
    durable();
    await published;
    expect((await source.receive(ALL))?.lines.toArray()).toEqual(['{"n":0}']);
    await close();
  });

  it('copies what is not acknowledged while both ends go on', async () => {
    const { publish, source, close } = await opened(directory, { limits: { waitingMax: 10, bytesMax: 1e9 } });
    const pad = 'x'.repeat(1_000_000);
    for (let n = 0; n < 24; n += 1) await publish(`{"n":${n},"pad":"${pad}"}`);
    const copy = join(directory, 'copy');
    const [, { lines }] = await Promise.all([
      source.backup(copy, () => Promise.resolve()),
      drain(source),
      publish('{"n":24}'),
    ]);
    await close();
    // Acknowledged while the copy was made, and still copied.
    expect(listSegments(folder(copy)).length).toBeGreaterThanOrEqual(3);
    const alone = new JournalSource({ directory: copy });
    await alone.open([]);
    const copied = [...lines, ...(await drain(alone)).lines].map(
      (line) => (JSON.parse(line) as { n: number }).n,
    );
    expect([...new Set(copied)].toSorted((a, b) => a - b).slice(0, 24)).toEqual([...Array(24).keys()]);
    await alone.close();
  });
});

describe('a backup', () => {
  it('regression: of the journal knows every position that the copy of the warehouse does', async () => {
    const { publish, source, close } = await opened(directory);
    await publish('{"n":0}');
    const copy = join(directory, 'copy');
    let stored = 0;
    await source.backup(copy, async () => {
      await publish('{"n":1}', '{"n":2}');
      const delivery = (await source.receive(ALL))!;
      await delivery.ack();
      stored = delivery.position.end;
    });
    await close();
    // The restored warehouse cannot be asked yet.
    const { publisher, source: restored } = make(copy);
    await publisher.open();
    await publisher.publish(EventLines.of(['{"n":3}']));
    const { id } = openAcked(folder(copy));
    await restored.open([{ source: id, end: stored }]);
    expect((await drain(restored)).lines).toEqual(['{"n":3}']);
    await Promise.all([publisher.close(), restored.close()]);
  });
});

describe('regression: a position that no counting leads to', () => {
  it.each([
    ['acked', 'acked', (id: string) => `journal ${id} acked 9999999999999999\n`],
    ['the name of a segment', '9999999999999999.log', () => ''],
  ])('in %s is refused before an event is taken', async (_where, name, text) => {
    await (await opened(directory)).close();
    const { id } = openAcked(folder(directory));
    writeFileSync(join(folder(directory), name), text(id));
    const { publisher, source } = make(directory);
    await expect(publisher.open()).rejects.toMatchObject({ code: 'corrupt' });
    await expect(source.open([])).rejects.toMatchObject({ code: 'corrupt' });
    await expect(publisher.publish(EventLines.of(['{"n":1}']))).rejects.toMatchObject({ code: 'closed' });
  });

  it('is never given out: what would pass it is refused', async () => {
    await (await opened(directory)).close();
    const { id } = openAcked(folder(directory));
    writeFileSync(
      join(folder(directory), 'acked'),
      `journal ${id} acked ${String(POSITION_MAX - 1).padStart(16, '0')}\n`,
    );
    const { publish, source, close } = await opened(directory);
    await expect(publish('{"n":1}', '{"n":2}')).rejects.toMatchObject({ code: 'unavailable' });
    await publish('{"n":3}');
    await expect(publish('{"n":4}')).rejects.toMatchObject({ code: 'unavailable' });
    expect(await drain(source)).toEqual({ lines: ['{"n":3}'], damaged: [] });
    await close();
  });
});

type Action = 'publish' | 'ack' | 'nack' | 'reopen';

describe('the journal', () => {
  it('behaves like a queue in memory under any actions', async () => {
    const actions = fc.array(fc.constantFrom<Action>('publish', 'publish', 'ack', 'nack', 'reopen'), {
      maxLength: 25,
    });
    await fc.assert(
      fc.asyncProperty(actions, async (steps) => {
        const place = temporary();
        let { publisher, source, close } = await opened(place);
        const model: string[] = [];
        let made = 0;
        for (const step of steps) {
          if (step === 'publish') {
            const lines = Array.from({ length: 1 + (made % 3) }, () => `{"n":${(made += 1)}}`);
            await publisher.publish(EventLines.of(lines));
            model.push(...lines);
          } else if (step === 'reopen') {
            await close();
            ({ publisher, source, close } = await opened(place));
          } else {
            const delivery = await source.receive(RECEIVE);
            expect(delivery?.lines.toArray() ?? []).toEqual(model.slice(0, delivery?.lines.count ?? 0));
            expect(delivery === undefined).toBe(model.length === 0);
            if (step === 'ack') {
              await delivery?.ack();
              model.splice(0, delivery?.lines.count ?? 0);
            } else delivery?.nack();
          }
          expect(publisher.stats().events).toBe(model.length);
        }
        await close();
        rmSync(place, { recursive: true });
      }),
      { numRuns: 40 },
    );
  });
});
