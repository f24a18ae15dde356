/**
 * Rows, rollups and the loader's state. Times are UTC. `event_hash` is a stable 64-bit hash of event_id:
 * one narrow column to look for an id in, before anything wide is read. There are no indexes: DuckDB's must
 * fit in memory and make its log long; the loader's joins read the key columns instead.
 */
export const sql = `
CREATE TABLE events (
  event_id VARCHAR NOT NULL,
  event_hash UBIGINT NOT NULL,
  project VARCHAR NOT NULL,
  received_at TIMESTAMP NOT NULL,
  event_time TIMESTAMP NOT NULL,
  event_name VARCHAR NOT NULL,
  user_id VARCHAR NOT NULL,
  session_id VARCHAR NOT NULL,
  page VARCHAR,
  country VARCHAR,
  region VARCHAR,
  city VARCHAR,
  properties JSON
);
CREATE TABLE users (project VARCHAR NOT NULL, user_id VARCHAR NOT NULL, first_seen_at TIMESTAMP NOT NULL);
CREATE TABLE sessions (
  project VARCHAR NOT NULL,
  session_id VARCHAR NOT NULL,
  started_at TIMESTAMP NOT NULL,
  ended_at TIMESTAMP NOT NULL
);
CREATE TABLE user_days (project VARCHAR NOT NULL, day DATE NOT NULL, user_id VARCHAR NOT NULL);
CREATE TABLE daily (
  project VARCHAR NOT NULL,
  day DATE NOT NULL,
  active_users BIGINT NOT NULL,
  new_users BIGINT NOT NULL,
  sessions BIGINT NOT NULL,
  session_duration_us BIGINT NOT NULL
);
CREATE TABLE positions (source VARCHAR NOT NULL, "end" BIGINT NOT NULL);
CREATE TABLE settings (name VARCHAR NOT NULL, value VARCHAR NOT NULL);
CREATE TABLE dead_letters (
  died_at TIMESTAMP NOT NULL,
  reason VARCHAR NOT NULL,
  detail VARCHAR NOT NULL,
  body VARCHAR NOT NULL
);
`;
