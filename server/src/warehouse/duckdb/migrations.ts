import { sql as initial } from './migrations/0001-initial.ts';
import { sql as eventIdGiven } from './migrations/0002-event-id-given.ts';

/** Which migrations a file has had. */
export const CREATE_MIGRATIONS =
  'CREATE TABLE IF NOT EXISTS migrations (version INTEGER NOT NULL, applied_at TIMESTAMP NOT NULL)';

/** In order; the number of applied ones is the schema's version. Never edit one that was released: add one. */
export const MIGRATIONS: readonly string[] = [initial, eventIdGiven];
