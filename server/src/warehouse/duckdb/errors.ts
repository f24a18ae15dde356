import { StoreError, type StoreErrorCode } from '../../event/store-error.ts';

/** DuckDB's messages start with the class of the error. The first pattern that fits decides. */
const DUCKDB_ERRORS: readonly (readonly [RegExp, StoreErrorCode])[] = [
  [/Conflicting lock is held|Could not set lock/i, 'unavailable'],
  [/Unknown TimeZone/, 'rejected'],
  [/^INTERRUPT Error|Interrupted/i, 'timeout'],
  [/^FATAL Error|has been invalidated|^INTERNAL Error/i, 'closed'],
  [/connection (is )?(closed|disconnected)|database (is )?closed/i, 'closed'],
  [
    /Corrupt|checksum|not a valid DuckDB database|different (DuckDB )?version|Serialization Error/i,
    'corrupt',
  ],
  [/^(Invalid Input|Conversion|Constraint|Out of Range|Mismatch Type|Type) Error/i, 'rejected'],
  [/Failure while replaying WAL/i, 'corrupt'],
  [/^IO Error|^Out of Memory|^TransactionContext Error|No space left/i, 'unavailable'],
];

/** What the client puts before DuckDB's message when a statement is run task by task. */
const CLIENT_PREFIX = /^Failure running pending result task: /;

/** A DuckDB error → ours; `unavailable` where the class is unknown, so that nothing is given up on a guess. */
export function duckdbError(error: unknown): StoreError {
  if (error instanceof StoreError) return error;
  const message = (error instanceof Error ? error.message : String(error)).replace(CLIENT_PREFIX, '');
  const code = DUCKDB_ERRORS.find(([pattern]) => pattern.test(message))?.[1] ?? 'unavailable';
  return new StoreError(code, `duckdb: ${message}`, { cause: error });
}
