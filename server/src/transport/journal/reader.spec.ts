import { appendFileSync, mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { EventLines } from '../../event/lines.ts';
import { readRecords, type Cursor, type Step } from './reader.ts';
import { recordBytes, writeRecord } from './records.ts';
import { SEGMENT_BYTES, segmentPath } from './segments.ts';

const ID = '0123456789abcdef';

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'daybook-reader-'));
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

function record(position: number, ...lines: string[]): Buffer {
  const batches = [EventLines.of(lines)];
  const bytes = Buffer.alloc(recordBytes(batches));
  writeRecord(bytes, 0, { id: ID, position, batches });
  return bytes;
}

/** Makes a segment of the parts, with zeros up to a length. */
function segment(position: number, parts: readonly Buffer[], length = 0): string {
  const path = segmentPath(directory, position);
  writeFileSync(path, Buffer.concat(parts));
  if (length > 0) truncateSync(path, length);
  return path;
}

const start: Cursor = { segment: 0, offset: 0, position: 0 };
const linesOf = (steps: readonly Step[]) => steps.flatMap(({ lines }) => lines?.toString().split('\n') ?? []);
const damageOf = (steps: readonly Step[]) => steps.flatMap(({ damage }) => damage ?? []);

describe('readRecords', () => {
  it('regression: goes on when the zeros behind the records are cut off under it', () => {
    const pad = 'x'.repeat(3_000_000);
    const records = [record(0, `{"n":0,"pad":"${pad}"}`), record(1, `{"n":1,"pad":"${pad}"}`)];
    const path = segment(0, records, SEGMENT_BYTES);
    segment(2, [record(2, '{"n":2}')], SEGMENT_BYTES);
    const steps: Step[] = [];
    for (const step of readRecords(directory, ID, start, 3)) {
      steps.push(step);
      // As the writer does once the next segment has its name.
      truncateSync(path, records[0]!.length + records[1]!.length);
    }
    expect(linesOf(steps).map((line) => line.slice(0, 6))).toEqual(['{"n":0', '{"n":1', '{"n":2']);
    expect(damageOf(steps)).toEqual([]);
  });

  it('regression: hands out nothing of a failed write that could not be taken back', () => {
    segment(0, [record(0, '{"n":0}'), record(1, '{"failed":1}', '{"failed":2}', '{"failed":3}')]);
    segment(1, [record(1, '{"n":1}'), record(2, '{"n":2}')], SEGMENT_BYTES);
    const steps = [...readRecords(directory, ID, start, 3)];
    expect(linesOf(steps)).toEqual(['{"n":0}', '{"n":1}', '{"n":2}']);
    expect(damageOf(steps)).toEqual([]);
  });

  it('regression: a record that is being written behind damage is read once it is durable', () => {
    const damaged = record(0, '{"n":0}').fill('?', 64, 66);
    const written = record(1, '{"n":1}');
    const path = segment(0, [damaged, written.subarray(0, 50)]);
    const [step, ...more] = [...readRecords(directory, ID, start, 1)];
    expect(more).toEqual([]);
    expect(step!.damage?.reason).toContain('record 0');
    appendFileSync(path, written.subarray(50));
    const steps = [...readRecords(directory, ID, step!.next, 2)];
    expect(linesOf(steps)).toEqual(['{"n":1}']);
    expect(damageOf(steps)).toEqual([]);
  });

  it('regression: reads a segment of many damaged records in no more than a moment', () => {
    const parts: Buffer[] = [];
    for (let n = 0; n < 2_000; n += 1)
      parts.push(n % 2 === 0 ? record(n, '{}').fill('?', 64) : record(n, '{}'));
    segment(0, parts, SEGMENT_BYTES);
    const startedMs = performance.now();
    const steps = [...readRecords(directory, ID, start, 2_000)];
    expect(damageOf(steps)).toHaveLength(1_000);
    expect(performance.now() - startedMs).toBeLessThan(5_000);
  });
});
