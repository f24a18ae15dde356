/** A JSON object as parsed from the wire. */
export type JsonObject = { readonly [key: string]: unknown };

/** An event as clients send it, once it has passed every check. Keys are those of the wire. */
export interface Event {
  readonly type: 'event';
  readonly event_name: string;
  readonly user_id: string;
  readonly session_id: string;
  /** Unix seconds, fractions allowed. */
  readonly event_time: number;
  readonly event_id?: string;
  readonly page?: string;
  readonly country?: string;
  readonly region?: string;
  readonly city?: string;
  readonly properties?: JsonObject;
}

/** One fault in an input: where (RFC 6901 pointer, "" is the whole) and what, with what is allowed. */
export interface Fault {
  readonly pointer: string;
  readonly detail: string;
}
