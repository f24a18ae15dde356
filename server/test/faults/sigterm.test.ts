import { connect } from 'node:net';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, expect, it } from 'vitest';
import { killServers, startServer, control } from '../e2e/server-process.ts';
import { Load, makeEvent, seededRandom } from './load.ts';
import { readStored, temporaryDirectory } from './stored.ts';

const ROUNDS = 6;
const SHUTDOWN_MS = 10_000;

afterEach(killServers);

it('answers everything it took and exits with 0 on SIGTERM under load', async () => {
  const random = seededRandom('sigterm');
  const directory = temporaryDirectory();
  const load = new Load(random);
  for (let round = 0; round < ROUNDS; round += 1) {
    const server = await startServer({
      directory,
      env: { DAYBOOK_SHUTDOWN_TIMEOUT_MS: String(SHUTDOWN_MS) },
    });
    const gone = new AbortController();
    const running = load.run(server.url, 8, gone.signal);
    await sleep(random.int(50, 700));
    const startedMs = performance.now();
    const exit = await server.kill('SIGTERM');
    gone.abort();
    await running;
    expect(exit, server.log()).toEqual({ code: 0, signal: null });
    expect(performance.now() - startedMs).toBeLessThan(SHUTDOWN_MS);
  }
  const last = await startServer({ directory });
  await control(directory, 'drain', 60_000);
  await last.kill('SIGTERM');

  const stored = await readStored(directory);
  console.log('sigterm:', load.heard, `${load.acknowledged} acknowledged, ${stored.events} stored`);
  expect([...load.heard.statuses.keys()].filter((status) => status !== 200 && status !== 503)).toEqual([]);
  // A connection that the server closed before it read the request: nothing of that may be stored.
  const errors = [...load.heard.errors.keys()];
  expect(errors.filter((error) => !['ECONNREFUSED', 'ECONNRESET', 'EPIPE'].includes(error))).toEqual([]);
  expect(load.contradictions(stored.users)).toEqual([]);
  const answeredNot = [...load.fates].filter(([user, { acks }]) => acks === 0 && stored.users.has(user));
  expect(answeredNot.map(([user]) => user)).toEqual([]);
  expect(stored.faults).toEqual([]);
});

it('takes the rest of a request that was arriving when SIGTERM came', async () => {
  const directory = temporaryDirectory();
  const server = await startServer({ directory });
  const body = JSON.stringify(makeEvent('slow-user', 1));
  const socket = connect(Number(new URL(server.url).port), '127.0.0.1');
  await once(socket, 'connect');
  socket.write(
    `POST /analytics/event HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n`,
  );
  socket.write(body.slice(0, 40));
  await sleep(200);
  const exit = server.kill('SIGTERM');
  await sleep(300);
  socket.write(body.slice(40));
  let answer = '';
  for await (const chunk of socket.setEncoding('utf8')) answer += chunk as string;
  expect(answer).toMatch(/^HTTP\/1\.1 200 /);
  expect(await exit, server.log()).toEqual({ code: 0, signal: null });

  const next = await startServer({ directory });
  await control(directory, 'drain', 60_000);
  await next.kill('SIGTERM');
  expect((await readStored(directory)).users.get('slow-user')).toBe(1);
});
