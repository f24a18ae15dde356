import { pino, type Logger, type LoggerOptions } from 'pino';

export type { Logger } from 'pino';

export type LogFormat = 'plain' | 'google';

/** Structured lines on standard error; standard output is for what a command answers. Never an event's contents. */
export function createLogger(
  level: string,
  format: LogFormat = 'plain',
  destination: pino.DestinationStream = pino.destination(2),
): Logger {
  const google = format === 'google' ? GOOGLE : {};
  return pino({ level, base: null, timestamp: pino.stdTimeFunctions.isoTime, ...google }, destination);
}

/** pino's levels → those of Cloud Logging. */
const SEVERITIES: Readonly<Record<string, string>> = {
  trace: 'DEBUG',
  debug: 'DEBUG',
  info: 'INFO',
  warn: 'WARNING',
  error: 'ERROR',
  fatal: 'CRITICAL',
};

/**
 * Names by which Cloud Logging knows what a line says: else every line has the severity DEFAULT, or ERROR on standard error.
 * https://cloud.google.com/logging/docs/structured-logging#structured_logging_special_fields
 */
const GOOGLE: LoggerOptions = {
  messageKey: 'message',
  formatters: {
    level: (label) => ({ severity: SEVERITIES[label] ?? 'DEFAULT' }),
    log: withRequest,
  },
};

/** A line about a request names it as Cloud Logging does; of the URL, the route alone. */
function withRequest(line: Record<string, unknown>): Record<string, unknown> {
  const { method, route, status, ms, ...rest } = line;
  if (typeof method !== 'string' || typeof status !== 'number') return line;
  const latency = typeof ms === 'number' ? { latency: `${ms / 1_000}s` } : {};
  return { ...rest, httpRequest: { requestMethod: method, requestUrl: route, status, ...latency } };
}
