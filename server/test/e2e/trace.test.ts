import { afterEach, expect, it } from 'vitest';
import { temporaryDirectory } from '../faults/stored.ts';
import { killServers, startServer } from './server-process.ts';

afterEach(killServers);

it('log lines of a request name its trace, whoever answers it, where they go to Cloud Logging', async () => {
  const trace = '4bf92f3577b34da6a3ce929d0e0e4736';
  const headers = { traceparent: `00-${trace}-00f067aa0ba902b7-01`, 'content-type': 'application/json' };
  const env = { DAYBOOK_LOG_REQUESTS: 'all', GOOGLE_CLOUD_PROJECT: 'acme-web', DAYBOOK_WAREHOUSE: 'duckdb' };
  for (const format of ['google', 'plain']) {
    const server = await startServer({
      directory: temporaryDirectory(),
      env: { ...env, DAYBOOK_LOG_FORMAT: format },
    });
    await fetch(`${server.url}/analytics/daily`, { headers });
    await fetch(`${server.url}/analytics/event`, { method: 'POST', headers, body: '{' });
    await fetch(`${server.url}/nowhere`, { headers });
    await fetch(`${server.url}/nowhere`);
    await server.kill('SIGTERM');
    const requests = server
      .log()
      .split('\n')
      .filter((line) => line.includes('request_id'))
      .map((line) => (JSON.parse(line) as Record<string, unknown>)['logging.googleapis.com/trace']);
    const name = `projects/acme-web/traces/${trace}`;
    const named = format === 'google' ? name : undefined;
    expect(requests).toEqual([named, named, named, undefined]);
  }
});
