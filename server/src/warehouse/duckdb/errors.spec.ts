import { describe, expect, it } from 'vitest';
import { duckdbError } from './errors.ts';

describe('duckdbError()', () => {
  it.each([
    ['IO Error: Could not set lock on file: Conflicting lock is held in node (PID 1)', 'unavailable'],
    ['INTERRUPT Error: Interrupted!', 'timeout'],
    ['FATAL Error: Failed: database has been invalidated because of a previous fatal error', 'closed'],
    ['INTERNAL Error: Attempted to access index 0', 'closed'],
    ['Connection Error: connection closed', 'closed'],
    ['IO Error: The file "x" exists, but it is not a valid DuckDB database file!', 'corrupt'],
    ['Serialization Error: Failed to deserialize', 'corrupt'],
    ['Invalid Input Error: Malformed JSON at byte 0', 'rejected'],
    ['Failure running pending result task: Invalid Input Error: Malformed JSON at byte 0', 'rejected'],
    ['Conversion Error: Could not convert string', 'rejected'],
    ["Not implemented Error: Unknown TimeZone 'Nope/Nope'!", 'rejected'],
    ['Constraint Error: NOT NULL constraint failed', 'rejected'],
    ['IO Error: Could not write file: No space left on device', 'unavailable'],
    ['Out of Memory Error: failed to allocate', 'unavailable'],
    ['something that nobody knows', 'unavailable'],
  ])('%s → %s', (message, code) => {
    expect(duckdbError(new Error(message))).toMatchObject({ name: 'StoreError', code });
  });
});
