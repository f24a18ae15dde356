/** Whole unix microseconds as an RFC 3339 time in UTC with six decimals, as BigQuery and Pub/Sub read it. */
export function rfc3339(microseconds: number): string {
  const seconds = Math.floor(microseconds / 1e6);
  const fraction = String(microseconds - seconds * 1e6).padStart(6, '0');
  return `${new Date(seconds * 1_000).toISOString().slice(0, 19)}.${fraction}Z`;
}
