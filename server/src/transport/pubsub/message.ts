import type { EventLine } from '../../event/line.ts';
import { rfc3339 } from '../../event/microtime.ts';
import { StoreError } from '../../event/store-error.ts';
import { parseJson } from '../../event/strict-json.ts';

/** A stored event as parsed; see `event/line.ts`. */
interface ParsedLine {
  readonly event_id: string;
  readonly project: string;
  readonly received_at: number;
  readonly event_time: number;
  readonly event_name: string;
  readonly user_id: string;
  readonly session_id: string;
  readonly page?: string;
  readonly country?: string;
  readonly region?: string;
  readonly city?: string;
  readonly properties?: object;
}

/**
 * The message of an event: a flat JSON object whose keys are the columns of the BigQuery table, since the
 * subscription writes with `use_table_schema`. `event_time` is whole unix seconds as the table has always had
 * it; `event_timestamp` is the same moment to the microsecond. Times are RFC 3339 strings, because a number in a
 * TIMESTAMP column would be read as microseconds; `properties` is a string of JSON, because a JSON column refuses an
 * object. Absent fields are left out, and become NULL. https://cloud.google.com/pubsub/docs/bigquery
 *
 * `omitted`: fields that the table has no column for yet, which are left out.
 *
 * @throws StoreError `rejected` when the line is no stored event
 */
export function encodeMessage(line: EventLine, omitted: ReadonlySet<string> = NOTHING): Buffer {
  const event = parse(line);
  const message = {
    type: 'event',
    event_id: event.event_id,
    project: event.project,
    received_at: rfc3339(event.received_at),
    event_time: Math.floor(event.event_time / 1e6),
    event_timestamp: rfc3339(event.event_time),
    event_name: event.event_name,
    user_id: event.user_id,
    session_id: event.session_id,
    page: event.page,
    country: event.country,
    region: event.region,
    city: event.city,
    properties: event.properties === undefined ? undefined : JSON.stringify(event.properties),
  };
  if (omitted.size === 0) return Buffer.from(JSON.stringify(message));
  return Buffer.from(
    JSON.stringify(Object.fromEntries(Object.entries(message).filter(([name]) => !omitted.has(name)))),
  );
}

const NOTHING: ReadonlySet<string> = new Set();

function parse(line: EventLine): ParsedLine {
  try {
    const event = parseJson(line) as ParsedLine;
    if (typeof event.event_id === 'string' && Number.isSafeInteger(event.event_time)) return event;
  } catch {
    // Said below, as for a line that is JSON and no event.
  }
  throw new StoreError('rejected', 'pubsub: the line is no stored event');
}
