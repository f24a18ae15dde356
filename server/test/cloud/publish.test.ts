import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { killServers, startServer } from '../e2e/server-process.ts';
import { Load, makeEvent, seededRandom, send } from '../faults/load.ts';
import { temporaryDirectory } from '../faults/stored.ts';
import { describeWith } from './engines/engines.ts';
import { startPubsub, type Fault, type Pubsub } from './engines/pstest.ts';
import { makeTopic, PUBLISH_TIMEOUT_MS, publishedIds, publishingEnv } from './publishing.ts';

/* The way to Pub/Sub, from HTTP to Google's own broker: what is acknowledged is in the topic, whatever happens. */

describeWith(['pstest'], 'publishing to Pub/Sub', () => {
  let pubsub: Pubsub;
  let directory: string;

  beforeEach(async () => {
    directory = temporaryDirectory();
    pubsub = await startPubsub();
    await makeTopic(pubsub);
  });
  afterEach(async () => {
    killServers();
    await pubsub.stop();
  });

  const start = (env: Record<string, string> = {}) =>
    startServer({ directory, env: { ...publishingEnv(pubsub), ...env } });

  it('has every acknowledged event in the topic, under load', async () => {
    const load = new Load(seededRandom('publish'));
    const server = await start();
    await load.run(server.url, 32, AbortSignal.timeout(5_000));
    expect(load.acknowledged).toBeGreaterThan(1_000);
    expect(load.contradictions(await publishedIds(pubsub))).toEqual([]);
    expect([...load.heard.statuses.keys()]).toEqual([200]);
  });

  it('settles every promise when it is told to stop under load', async () => {
    const load = new Load(seededRandom('publish-sigterm'));
    const server = await start();
    const running = load.run(server.url, 32, AbortSignal.timeout(20_000));
    await sleep(1_500);
    expect(await server.kill('SIGTERM')).toEqual({ code: 0, signal: null });
    await running;
    expect(load.acknowledged).toBeGreaterThan(500);
    expect(load.contradictions(await publishedIds(pubsub))).toEqual([]);
  });

  it('answers 503 with Retry-After within its deadline while the broker is slow, and never a false 200', async () => {
    const server = await start();
    await pubsub.fault({ delayMs: 60_000, code: 'UNAVAILABLE' });
    const startedMs = performance.now();
    const answer = await send(`${server.url}/analytics/event`, makeEvent('slow', 1));
    expect(performance.now() - startedMs).toBeLessThan(PUBLISH_TIMEOUT_MS + 2_000);
    expect(answer.status).toBe(503);
    expect(answer.headers['retry-after']).toBe('1');
    expect(JSON.parse(answer.text)).toMatchObject({ code: 'outcome-unknown' });
    await pubsub.clearFault();
    expect((await send(`${server.url}/analytics/event`, makeEvent('after', 2))).status).toBe(200);
  });

  it.each<[string, Fault, number, string?]>([
    ['UNAVAILABLE once: the client tries again', { code: 'UNAVAILABLE', count: 1 }, 200],
    ['UNAVAILABLE for good', { code: 'UNAVAILABLE' }, 503, 'outcome-unknown'],
    ['RESOURCE_EXHAUSTED: over a quota', { code: 'RESOURCE_EXHAUSTED' }, 503, 'storage-unavailable'],
    ['PERMISSION_DENIED', { code: 'PERMISSION_DENIED' }, 503, 'storage-unavailable'],
    ['NOT_FOUND: no such topic', { code: 'NOT_FOUND' }, 503, 'storage-unavailable'],
    ['an answer lost on its way', { code: 'UNAVAILABLE', after: true }, 503, 'outcome-unknown'],
  ])('%s', async (_, fault, status, code) => {
    const server = await start();
    await pubsub.fault(fault);
    const event = makeEvent('one', 1, true);
    const answer = await send(`${server.url}/analytics/event`, event);
    expect(answer.status).toBe(status);
    if (code !== undefined) expect(JSON.parse(answer.text)).toMatchObject({ code });
    await pubsub.clearFault();
    // Sent again, it is in the topic, under the same event_id however often.
    expect((await send(`${server.url}/analytics/event`, event)).status).toBe(200);
    expect(await publishedIds(pubsub)).toEqual(new Map([['one', 1]]));
  });

  it('refuses beyond what may be on its way, at once, and goes on when there is room', async () => {
    const server = await start({ DAYBOOK_PUBSUB_EVENTS_IN_FLIGHT_MAX: '100' });
    await pubsub.fault({ delayMs: 1_000 });
    const batch = Array.from({ length: 60 }, (_, n) => makeEvent(`u${n}`, n));
    const first = send(`${server.url}/analytics/events`, batch);
    await sleep(300);
    const refused = await send(`${server.url}/analytics/events`, batch);
    expect(refused.status).toBe(503);
    expect(JSON.parse(refused.text)).toMatchObject({ code: 'storage-unavailable' });
    expect((await first).status).toBe(200);
    await pubsub.clearFault();
    expect((await send(`${server.url}/analytics/events`, batch)).status).toBe(200);
  });
});
