import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { StoreError } from '../../event/store-error.ts';
import { EventLines } from '../../event/lines.ts';
import { decodeRecord, encodeRecord, journalError, JOURNAL_ERRORS } from './store.ts';

const line = fc.string({ unit: 'grapheme' }).map((text) => JSON.stringify({ text }));
const lines = fc.array(line, { minLength: 1, maxLength: 20 });

const recordOf = (given: readonly string[]) => encodeRecord(EventLines.of(given).chunks);

describe('encodeRecord()', () => {
  it('is undone by decodeRecord(), whatever the text', () => {
    fc.assert(
      fc.property(lines, (batch) => {
        expect(decodeRecord(recordOf(batch))?.toString('utf8').split('\n')).toEqual(batch);
      }),
    );
  });

  it('writes the format of version 0.1: CRC-32, big endian, then the lines joined by \\n', () => {
    const record = recordOf(['{"a":1}', '{"b":2}']);
    expect(record.subarray(4).toString('utf8')).toBe('{"a":1}\n{"b":2}');
    // The check value of CRC-32/ISO-HDLC for the nine digits, from the catalogue of CRC algorithms.
    expect(recordOf(['123456789']).subarray(0, 4).toString('hex')).toBe('cbf43926');
  });
});

describe('decodeRecord()', () => {
  it('notices each single bit that flips', () => {
    const record = recordOf(['{"a":1}', '{"ä":2}']);
    for (let bit = 0; bit < record.length * 8; bit += 1) {
      const damaged = Buffer.from(record);
      damaged[bit >> 3]! ^= 1 << (bit & 7);
      expect(decodeRecord(damaged), `bit ${bit}`).toBeUndefined();
    }
  });

  it('notices a record that was cut, at any length', () => {
    const record = recordOf(['{"a":1}', '{"b":2}']);
    for (let length = 0; length < record.length; length += 1) {
      expect(decodeRecord(record.subarray(0, length)), `length ${length}`).toBeUndefined();
    }
  });

  it('notices any run of up to four bytes that was overwritten', () => {
    fc.assert(
      fc.property(lines, fc.nat(), fc.uint8Array({ minLength: 1, maxLength: 4 }), (batch, at, bytes) => {
        const record = recordOf(batch);
        const damaged = Buffer.from(record);
        damaged.set(bytes, at % (record.length - bytes.length + 1));
        fc.pre(!damaged.equals(record));
        expect(decodeRecord(damaged)).toBeUndefined();
      }),
    );
  });
});

/** Messages of LMDB and of the operating system, and what they are to us. */
const TABLE: readonly (readonly [message: string, code: string])[] = [
  ['MDB_MAP_FULL: Environment mapsize limit reached', 'unavailable'],
  ['No space left on device', 'unavailable'],
  ['ENOSPC: no space left on device, write', 'unavailable'],
  ['Disk quota exceeded', 'unavailable'],
  ['MDB_CORRUPTED: Located page was wrong type', 'corrupt'],
  ['MDB_PAGE_NOTFOUND: Requested page not found', 'corrupt'],
  ['MDB_INVALID: File is not an LMDB file', 'corrupt'],
  ['MDB_VERSION_MISMATCH: Database environment version mismatch', 'corrupt'],
  ['MDB_BAD_VALSIZE: Unsupported size of key/DB name/data, or wrong DUPFIXED size', 'too-large'],
  ['Can not read from a closed database', 'closed'],
  ['The database is closed', 'closed'],
  ['Input/output error', 'unavailable'],
  ['something that nobody knows', 'unavailable'],
];

describe('journalError()', () => {
  it.each(TABLE)('%s → %s', (message, code) => {
    const cause = new Error(message);
    const error = journalError(cause);
    expect(error).toBeInstanceOf(StoreError);
    expect(error).toMatchObject({ code, cause, message: `journal: ${message}` });
  });

  it('has a row for every pattern, which decides it', () => {
    const deciding = TABLE.map(([message]) => JOURNAL_ERRORS.findIndex(([pattern]) => pattern.test(message)));
    expect(new Set(deciding)).toEqual(new Set([...JOURNAL_ERRORS.keys(), -1]));
  });

  it('hands a StoreError on as it is, and takes what is no Error', () => {
    const error = new StoreError('corrupt', 'x');
    expect(journalError(error)).toBe(error);
    expect(journalError('MDB_MAP_FULL')).toMatchObject({
      code: 'unavailable',
      message: 'journal: MDB_MAP_FULL',
    });
  });
});
