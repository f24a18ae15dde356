import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import type { Server } from 'node:http';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, it } from 'vitest';
import { createApp } from '../../src/app.ts';
import { readConfig } from '../../src/config.ts';

/** One request on a connection that stays open: the headers of the answer, and after how long the server closed it. */
async function idle(keepAliveMs: number, waitMs: number): Promise<{ head: string; closedMs?: number }> {
  const directory = mkdtempSync(join(tmpdir(), 'daybook-'));
  const settings = { DAYBOOK_DATA_DIR: directory, DAYBOOK_HTTP_KEEP_ALIVE_MS: String(keepAliveMs) };
  const app = await createApp(readConfig({ PORT: '0', DAYBOOK_LOG_LEVEL: 'silent', ...settings }));
  try {
    const socket = connect(Number(new URL(await app.listen()).port), '127.0.0.1').setEncoding('utf8');
    socket.write('GET /health/live HTTP/1.1\r\nhost: x\r\n\r\n');
    const [head] = (await once(socket, 'data')) as [string];
    const startedMs = performance.now();
    const closed = once(socket, 'end').then(() => performance.now() - startedMs);
    const late = sleep(waitMs, undefined);
    const closedMs = await Promise.race([closed, late]);
    socket.destroy();
    return closedMs === undefined ? { head } : { head, closedMs };
  } finally {
    await app.close();
    rmSync(directory, { recursive: true, force: true });
  }
}

it('row 2: a connection may be idle for as long as the setting says', async () => {
  const short = await idle(1_000, 10_000);
  expect(short.head).toMatch(/^keep-alive: timeout=1\r$/im);
  expect(short.closedMs).toBeGreaterThan(900);
  const long = await idle(620_000, 2_500);
  expect(long.head).toMatch(/^keep-alive: timeout=620\r$/im);
  expect(long.closedMs).toBeUndefined();
});

it('regression: half a request does not keep the stores open when the server closes', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'daybook-'));
  const settings = { DAYBOOK_DATA_DIR: directory, DAYBOOK_SHUTDOWN_TIMEOUT_MS: '2000' };
  const app = await createApp(readConfig({ PORT: '0', DAYBOOK_LOG_LEVEL: 'silent', ...settings }));
  const port = Number(new URL(await app.listen()).port);
  const server: Server = app.nest.getHttpServer();
  const accepted = once(server, 'connection');
  const socket = connect(port, '127.0.0.1').on('error', () => undefined);
  socket.write('POST /analytics/event HTTP/1.1\r\nhost: x\r\nx-a: ');
  await accepted;
  // The server has read it then.
  await sleep(300);
  const startedMs = performance.now();
  const late = sleep(8_000, 'late', { ref: false });
  expect(await Promise.race([app.close().then(() => 'closed'), late])).toBe('closed');
  // A request under way has half of the time; the timeout of the shutdown ends the process.
  expect(performance.now() - startedMs).toBeGreaterThan(900);
  socket.destroy();
  rmSync(directory, { recursive: true, force: true });
});
