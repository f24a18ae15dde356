import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { EventLines } from '../event/lines.ts';
import type { Publisher, Source } from './contract.ts';

/** What a driver gives the suite: both ends of one store, made again on the same place at each call. */
export interface TransportHarness {
  /** Whether a new pair finds what an earlier one took. */
  readonly durable: boolean;
  make(): { readonly publisher: Publisher; readonly source: Source };
  cleanUp(): Promise<void>;
}

/** Small enough to fill in a test. */
export const CONFORMANCE_LIMITS = { waitingMax: 1_000, bytesMax: 4 * 1_024 * 1_024 };

const receipt = (id: string, bytes = 0) =>
  JSON.stringify({ event_id: id, received_at: 5, pad: 'x'.repeat(bytes) });

/** The promises of `Publisher` and `Source`, for every driver. */
export function describeTransport(name: string, makeHarness: () => TransportHarness): void {
  describe(`${name} as a transport`, () => {
    let harness: TransportHarness;
    let publisher: Publisher;
    let source: Source;

    const open = async () => {
      ({ publisher, source } = harness.make());
      await publisher.open();
      await source.open([]);
    };
    const close = async () => {
      await publisher.close();
      await source.close();
    };
    beforeEach(async () => {
      harness = makeHarness();
      await open();
    });
    afterEach(async () => {
      await close();
      await harness.cleanUp();
    });

    const receive = (eventsMax = 1_000_000) =>
      source.receive({ eventsMax, bytesMax: 1e9, waitMs: 0, signal: new AbortController().signal });
    const drain = async () => {
      const lines: string[] = [];
      for (let delivery = await receive(7); delivery !== undefined; delivery = await receive(7)) {
        lines.push(...delivery.lines.toArray());
        await delivery.ack();
      }
      return lines;
    };
    const publishMany = (count: number) =>
      Promise.all(
        Array.from({ length: count }, (_, index) =>
          publisher.publish(EventLines.of([receipt(String(index))])),
        ),
      );

    it('hands out what was published, in order', async () => {
      await publisher.publish(EventLines.of([receipt('a'), receipt('b')]));
      await publisher.publish(EventLines.of([receipt('c ä 😀 "\\n"')]));
      expect((await receive())?.lines.toArray()).toEqual([
        receipt('a'),
        receipt('b'),
        receipt('c ä 😀 "\\n"'),
      ]);
    });

    it('hands out each of many concurrent batches once', async () => {
      await publishMany(500);
      const lines = await drain();
      expect(lines.toSorted()).toEqual(
        Array.from({ length: 500 }, (_, index) => receipt(String(index))).toSorted(),
      );
    });

    it('resolves with nothing when nothing comes, and when the signal fires', async () => {
      expect(await receive()).toBeUndefined();
      const aborted = AbortSignal.abort();
      expect(
        await source.receive({ eventsMax: 1, bytesMax: 1, waitMs: 60_000, signal: aborted }),
      ).toBeUndefined();
    });

    it('hands a delivery out again after nack(), and not after ack()', async () => {
      await publisher.publish(EventLines.of([receipt('a')]));
      (await receive())!.nack();
      const again = (await receive())!;
      expect(again.lines.toArray()).toEqual([receipt('a')]);
      await again.ack();
      expect(await receive()).toBeUndefined();
    });

    it('hands out the next delivery while one is open, and both again after nack() of both, in any order', async () => {
      for (const swap of [false, true]) {
        await publisher.publish(EventLines.of([receipt('a')]));
        await publisher.publish(EventLines.of([receipt('b')]));
        const both = [(await receive(1))!, (await receive(1))!];
        expect(both.map(({ lines }) => lines.toArray())).toEqual([[receipt('a')], [receipt('b')]]);
        for (const delivery of swap ? both.toReversed() : both) delivery.nack();
        const again = [(await receive(1))!, (await receive(1))!];
        expect(again.map(({ lines }) => lines.toArray())).toEqual([[receipt('a')], [receipt('b')]]);
        for (const delivery of again) await delivery.ack();
        expect(await receive()).toBeUndefined();
      }
    });

    it('gives positions that grow by the number of events', async () => {
      await publisher.publish(EventLines.of([receipt('a'), receipt('b')]));
      const first = (await receive())!;
      await first.ack();
      await publisher.publish(EventLines.of([receipt('c')]));
      const second = (await receive())!;
      expect(second.position).toEqual({ source: first.position.source, end: first.position.end + 1 });
      await second.ack();
    });

    it('stops adding records at eventsMax', async () => {
      for (let index = 0; index < 10; index += 1)
        await publisher.publish(EventLines.of([receipt(String(index))]));
      expect((await receive(3))?.lines.count).toBe(3);
      expect((await receive(100))?.lines.count).toBe(7);
    });

    it('counts what waits', async () => {
      await publisher.publish(EventLines.of([receipt('a'), receipt('b')]));
      expect(publisher.stats()).toMatchObject({ events: 2, waiting: 0 });
      expect(publisher.stats().bytes).toBeGreaterThan(0);
      expect(source.stats()).toMatchObject({ oldestReceivedAtUs: 5 });
      await drain();
      expect(publisher.stats()).toMatchObject({ events: 0, bytes: 0 });
    });

    it('refuses when it is full, keeps what it took, and goes on when there is room', async () => {
      let taken = 0;
      const fill = async () => {
        for (let index = 0; index < 100; index += 1) {
          await publisher.publish(EventLines.of([receipt(String(index), 100_000)]));
          taken += 1;
        }
      };
      await expect(fill()).rejects.toMatchObject({ name: 'StoreError', code: 'unavailable' });
      expect(taken).toBeGreaterThan(10);
      expect(await drain()).toHaveLength(taken);
      await publisher.publish(EventLines.of([receipt('again')]));
      expect(await drain()).toEqual([receipt('again')]);
    });

    it('tells beforehand what publish() would refuse, and takes nothing by being asked', async () => {
      const pad = 100_000;
      expect(publisher.refusal(pad)).toBeUndefined();
      let error: unknown;
      for (let index = 0; index < 100 && error === undefined; index += 1) {
        error = await publisher.publish(EventLines.of([receipt(String(index), pad)])).then(
          () => undefined,
          (reason: unknown) => reason,
        );
      }
      expect(error).toMatchObject({ code: 'unavailable' });
      expect(publisher.refusal(pad)).toMatchObject({ name: 'StoreError', code: 'unavailable' });
      await drain();
      for (let times = 0; times < 100; times += 1) expect(publisher.refusal(pad)).toBeUndefined();
      await publisher.close();
      expect(publisher.refusal(0)).toMatchObject({ code: 'closed' });
    });

    it('settles every promise before close() resolves, and rejects later ones with closed', async () => {
      let settled = 0;
      const promises = Array.from({ length: 50 }, () =>
        publisher.publish(EventLines.of([receipt('x')])).finally(() => (settled += 1)),
      );
      await publisher.close();
      expect(settled).toBe(50);
      await Promise.all(promises);
      await expect(publisher.publish(EventLines.of([receipt('y')]))).rejects.toMatchObject({
        code: 'closed',
      });
      await publisher.close();
    });

    it('finds what it took when it is opened again, and goes on behind it', async ({ skip }) => {
      skip(!harness.durable, `${name} is not durable`);
      await publisher.publish(EventLines.of([receipt('a'), receipt('b')]));
      await close();
      await open();
      await publisher.publish(EventLines.of([receipt('c')]));
      const delivery = (await receive())!;
      expect(delivery.lines.toArray()).toEqual([receipt('a'), receipt('b'), receipt('c')]);
      await delivery.ack();
      await close();
      await open();
      await publisher.publish(EventLines.of([receipt('d')]));
      const next = (await receive())!;
      expect(next.position.end).toBe(delivery.position.end + 1);
      await next.ack();
    });

    it('does not hand out what the warehouse holds already', async ({ skip }) => {
      skip(!harness.durable, `${name} is not durable`);
      await publisher.publish(EventLines.of([receipt('a')]));
      const { position } = (await receive())!;
      await publisher.publish(EventLines.of([receipt('b')]));
      await close();
      ({ publisher, source } = harness.make());
      await publisher.open();
      await source.open([{ source: 'another', end: 99 }, position]);
      expect((await receive())?.lines.toArray()).toEqual([receipt('b')]);
    });
  });
}
