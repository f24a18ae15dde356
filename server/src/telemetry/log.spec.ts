import { describe, expect, it } from 'vitest';
import { createLogger, type LogFormat } from './log.ts';

function lines(format?: LogFormat): Record<string, unknown>[] {
  const written: Record<string, unknown>[] = [];
  const destination = { write: (line: string) => written.push(JSON.parse(line) as Record<string, unknown>) };
  const log = createLogger('trace', format, destination);
  log.debug('one');
  log.warn({ reason: 'full' }, 'two');
  log.error(new Error('why'));
  log.info({ request_id: 'r', method: 'POST', route: '/analytics/event', status: 503, ms: 12 });
  return written;
}

describe('createLogger()', () => {
  it('writes the lines of pino by default', () => {
    expect(lines()[1]).toMatchObject({ level: 40, msg: 'two', reason: 'full' });
  });

  it('writes what Cloud Logging knows by name', () => {
    const [debug, warning, error, request] = lines('google');
    expect(debug).toEqual({ severity: 'DEBUG', time: expect.any(String) as string, message: 'one' });
    expect(warning).toMatchObject({ severity: 'WARNING', message: 'two', reason: 'full' });
    expect(error).toMatchObject({ severity: 'ERROR', message: 'why', err: { message: 'why' } });
    expect(request).toEqual({
      severity: 'INFO',
      time: expect.any(String) as string,
      request_id: 'r',
      httpRequest: { requestMethod: 'POST', requestUrl: '/analytics/event', status: 503, latency: '0.012s' },
    });
  });
});
