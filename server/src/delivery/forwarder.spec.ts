import { describe, expect, it } from 'vitest';
import { EventLines } from '../event/lines.ts';
import { StoreError } from '../event/store-error.ts';
import type { ForwardingPublisher } from '../transport/contract.ts';
import { Forwarder } from './forwarder.ts';

const POSITION = { source: 's', end: 1 };

/** A broker that refuses some lines for good; what it took, and the dead letters. */
function brokerThatRefuses(bad: readonly string[]) {
  const taken = new Set<string>();
  const letters: string[] = [];
  const publisher = {
    publish: (batch: EventLines) => {
      const lines = batch.toArray();
      if (lines.some((line) => bad.includes(line))) {
        return Promise.reject(new StoreError('rejected', 'not to my schema'));
      }
      for (const line of lines) taken.add(line);
      return Promise.resolve();
    },
    publishDeadLetters: (dead: readonly { body: string }[]) => {
      letters.push(...dead.map(({ body }) => body));
      return Promise.resolve();
    },
  } as unknown as ForwardingPublisher;
  return { taken, letters, forwarder: new Forwarder(publisher) };
}

describe('Forwarder', () => {
  it('gives up only what the broker refuses for good, with its reason, and sends the rest', async () => {
    const lines = Array.from({ length: 11_000 }, (_, index) => `line-${index}`);
    const bad = ['line-0', 'line-7777', 'line-10999'];
    const { taken, letters, forwarder } = brokerThatRefuses(bad);
    const batch = { lines: EventLines.of(lines), deadLetters: [], position: POSITION, nowUs: 1 };
    const result = await forwarder.insert(batch);
    expect(result).toMatchObject({ inserted: 10_997, duplicates: 0 });
    expect(result.deadLetters?.map(({ body, detail }) => [body, detail])).toEqual(
      bad.map((body) => [body, 'not to my schema']),
    );
    expect(taken.size).toBe(10_997);
    expect(letters).toEqual(bad);
  });

  it('passes on the dead letters of the batch', async () => {
    const { letters, forwarder } = brokerThatRefuses([]);
    const deadLetters = [{ reason: 'corrupt' as const, detail: 'why', body: 'torn' }];
    await forwarder.insert({ lines: EventLines.of([]), deadLetters, position: POSITION, nowUs: 1 });
    expect(letters).toEqual(['torn']);
  });
});
