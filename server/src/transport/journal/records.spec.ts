import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { EventLines } from '../../event/lines.ts';
import { HEADER_BYTES, readHeader, readLines, recordBytes, writeRecord } from './records.ts';

const ID = '0123456789abcdef';
const line = fc.string({ unit: 'grapheme' }).map((text) => JSON.stringify({ text }));
const batches = fc.array(fc.array(line, { minLength: 1, maxLength: 5 }), { minLength: 1, maxLength: 5 });

function record(lines: readonly (readonly string[])[], position = 7): Buffer {
  const given = lines.map((batch) => EventLines.of(batch));
  const bytes = Buffer.alloc(recordBytes(given));
  expect(writeRecord(bytes, 0, { id: ID, position, batches: given })).toBe(bytes.length);
  return bytes;
}

/** What a reader does with the bytes of a record; undefined when it finds anything wrong. */
function read(bytes: Buffer): string[] | undefined {
  const header = readHeader(bytes, ID);
  if (header === undefined || header.bytes !== bytes.length - HEADER_BYTES) return undefined;
  return readLines(bytes)?.toString('utf8').split('\n');
}

describe('writeRecord()', () => {
  it('is undone by readHeader() and readLines(), whatever the text', () => {
    fc.assert(
      fc.property(batches, fc.nat(), (given, position) => {
        const bytes = record(given, position);
        const lines = given.flat();
        expect(readHeader(bytes, ID)).toEqual({
          position,
          events: lines.length,
          bytes: bytes.length - HEADER_BYTES,
        });
        expect(read(bytes)).toEqual(lines);
      }),
    );
  });

  it('writes text: a header, then the lines', () => {
    // The checksum is that of Python's zlib.crc32 over the same bytes.
    expect(record([['{"a":1}'], ['{"b":2}']]).toString()).toBe(
      `# ${ID} 0000000000000007 00000002 00000016 638827af\n{"a":1}\n{"b":2}\n`,
    );
  });
});

describe('a reader', () => {
  it('notices each single bit that flips', () => {
    const bytes = record([['{"a":1}', '{"ä":2}']]);
    for (let bit = 0; bit < bytes.length * 8; bit += 1) {
      const damaged = Buffer.from(bytes);
      damaged[bit >> 3]! ^= 1 << (bit & 7);
      expect(read(damaged), `bit ${bit}`).toBeUndefined();
    }
  });

  it('notices a record that was cut, at any length', () => {
    const bytes = record([['{"a":1}', '{"b":2}']]);
    for (let length = 0; length < bytes.length; length += 1) {
      expect(read(bytes.subarray(0, length)), `length ${length}`).toBeUndefined();
    }
  });

  it('notices any run of up to four bytes that was overwritten', () => {
    fc.assert(
      fc.property(batches, fc.nat(), fc.uint8Array({ minLength: 1, maxLength: 4 }), (given, at, bytes) => {
        const damaged = record(given);
        const good = Buffer.from(damaged);
        damaged.set(bytes, at % (damaged.length - bytes.length + 1));
        fc.pre(!damaged.equals(good));
        expect(read(damaged)).toBeUndefined();
      }),
    );
  });

  it('takes no record of another journal', () => {
    expect(readHeader(record([['{}']]), 'fedcba9876543210')).toBeUndefined();
  });
});
