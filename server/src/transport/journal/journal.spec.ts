import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { EventLines } from '../../event/lines.ts';
import { CONFORMANCE_LIMITS, describeTransport } from '../conformance.ts';
import type { PublisherLimits } from '../contract.ts';
import { LmdbPublisher } from './publisher.ts';
import { LmdbSource } from './source.ts';
import { openJournalStore } from './store.ts';

const temporary = () => mkdtempSync(join(tmpdir(), 'daybook-journal-'));
const publisherOn = (
  directory: string,
  limits: PublisherLimits = CONFORMANCE_LIMITS,
  freeBytes = () => 1e12,
) => new LmdbPublisher({ directory, limits, freeBytes, freeBytesMin: 1_000_000 });
const sourceOn = (directory: string) => new LmdbSource({ directory, bytesMax: CONFORMANCE_LIMITS.bytesMax });
const RECEIVE = { eventsMax: 5, bytesMax: 1e9, waitMs: 0, signal: new AbortController().signal };

describeTransport('journal', () => {
  const directory = temporary();
  return {
    durable: true,
    make: () => ({ publisher: publisherOn(directory), source: sourceOn(directory) }),
    cleanUp: async () => rmSync(directory, { recursive: true, force: true }),
  };
});

describe('LmdbPublisher', () => {
  it('refuses beyond waitingMax', async () => {
    const directory = temporary();
    const publisher = publisherOn(directory, { waitingMax: 2, bytesMax: 1e9 });
    await publisher.open();
    const results = await Promise.allSettled(
      ['a', 'b', 'c'].map((line) => publisher.publish(EventLines.of([line]))),
    );
    expect(results.map(({ status }) => status)).toEqual(['fulfilled', 'fulfilled', 'rejected']);
    await publisher.publish(EventLines.of(['d']));
    await publisher.close();
    rmSync(directory, { recursive: true });
  });

  it('refuses while the disk has too little room, and goes on when it has', async () => {
    const directory = temporary();
    let free = 500_000;
    const publisher = publisherOn(directory, CONFORMANCE_LIMITS, () => free);
    await publisher.open();
    await expect(publisher.publish(EventLines.of(['a']))).rejects.toMatchObject({ code: 'unavailable' });
    free = 2_000_000;
    await publisher.publish(EventLines.of(['a']));
    await publisher.close();
    rmSync(directory, { recursive: true });
  });
});

describe('LmdbSource', () => {
  it('hands out a damaged record as damage, and all others', async () => {
    const directory = temporary();
    const publisher = publisherOn(directory);
    await publisher.open();
    for (const line of ['{"n":0}', '{"n":1}', '{"n":2}']) await publisher.publish(EventLines.of([line]));
    const store = openJournalStore(directory, CONFORMANCE_LIMITS.bytesMax);
    const record = Buffer.from(store.records.getBinary(1)!);
    record[6]! ^= 1;
    store.records.putSync(1, record);
    const source = sourceOn(directory);
    await source.open([]);
    const delivery = (await source.receive(RECEIVE))!;
    expect(delivery.lines.toArray()).toEqual(['{"n":0}', '{"n":2}']);
    expect(delivery.damaged).toHaveLength(1);
    expect(delivery.damaged[0]!.reason).toContain('record 1');
    await delivery.ack();
    await source.close();
    await publisher.close();
    rmSync(directory, { recursive: true });
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
        const directory = temporary();
        let [publisher, source] = [publisherOn(directory), sourceOn(directory)];
        await publisher.open();
        await source.open([]);
        const model: string[] = [];
        let made = 0;
        for (const step of steps) {
          if (step === 'publish') {
            const lines = Array.from({ length: 1 + (made % 3) }, () => `{"n":${(made += 1)}}`);
            await publisher.publish(EventLines.of(lines));
            model.push(...lines);
          } else if (step === 'reopen') {
            await publisher.close();
            await source.close();
            [publisher, source] = [publisherOn(directory), sourceOn(directory)];
            await publisher.open();
            await source.open([]);
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
        await source.close();
        await publisher.close();
        rmSync(directory, { recursive: true });
      }),
      { numRuns: 40 },
    );
  });
});
