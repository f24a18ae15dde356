import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, expect, it } from 'vitest';
import { control, killServers, startServer } from '../e2e/server-process.ts';
import { Load, seededRandom, type Heard } from '../faults/load.ts';
import { temporaryDirectory } from '../faults/stored.ts';
import { startCuttableProxy, type CuttableProxy } from './cuttable-proxy.ts';
import { describeWith } from './engines/engines.ts';
import { startPubsub } from './engines/pstest.ts';
import { makeTopic, publishedIds, publishingEnv } from './publishing.ts';

/* A broker that is dead for half a minute and comes back, under load, without and with the journal in front of it. */

const OUTAGE_MS = 30_000;
const CALM_MS = 3_000;
/** Short bursts: at full speed the journal takes millions of events in half a minute, which then have to be sent. */
const BURST_MS = 40;
const PAUSE_MS = 360;

describeWith(['pstest'], 'a broker that is dead for 30 s', () => {
  const cleanUps: (() => Promise<void>)[] = [];
  afterEach(async () => {
    killServers();
    for (const cleanUp of cleanUps.splice(0)) await cleanUp();
  });

  /** A broker behind a proxy that can be cut, and a server that publishes to it. */
  async function broker(env: Record<string, string>) {
    const pubsub = await startPubsub();
    await makeTopic(pubsub);
    const proxy = await startCuttableProxy(pubsub.host);
    const directory = temporaryDirectory();
    cleanUps.push(async () => {
      await proxy.close();
      await pubsub.stop();
    });
    const server = await startServer({
      directory,
      env: { ...publishingEnv(pubsub), PUBSUB_EMULATOR_HOST: proxy.address, ...env },
    });
    return { pubsub, proxy, directory, server };
  }

  it('is answered with 503 until it is back, then with 200 by itself, and nothing acknowledged is missing', async () => {
    const { pubsub, proxy, server } = await broker({});
    const { load, before, during, after } = await underLoad(server.url, proxy, 'outage');
    expect(statuses(before)).toEqual([200]);
    expect(statuses(during)).toContain(503);
    expect(statuses(during).filter((status) => status !== 200 && status !== 503)).toEqual([]);
    expect(after.statuses.get(200)).toBeGreaterThan(100);
    expect([...after.errors]).toEqual([]);
    expect(load.contradictions(await publishedIds(pubsub))).toEqual([]);
  });

  it('costs clients nothing with the journal in front: 200 throughout, and nothing is missing', async () => {
    const { pubsub, proxy, directory, server } = await broker({ DAYBOOK_JOURNAL: 'on' });
    const { load, before, during, after } = await underLoad(server.url, proxy, 'outage-journal');
    for (const heard of [before, during, after]) expect(statuses(heard)).toEqual([200]);
    expect(await control(directory, 'drain', 60_000)).toBe(true);
    expect(load.contradictions(await publishedIds(pubsub))).toEqual([]);
    expect(load.acknowledged).toBe(load.fates.size);
  });

  it('loses nothing when the server is killed meanwhile, with the journal in front', async () => {
    const { pubsub, proxy, directory, server } = await broker({ DAYBOOK_JOURNAL: 'on' });
    const load = new Load(seededRandom('outage-kill'));
    await proxy.cut();
    const running = load.run(server.url, 8, AbortSignal.timeout(20_000));
    await sleep(1_500);
    await server.kill('SIGKILL');
    await running;
    await proxy.restore();
    await startServer({
      directory,
      env: { ...publishingEnv(pubsub), PUBSUB_EMULATOR_HOST: proxy.address, DAYBOOK_JOURNAL: 'on' },
    });
    expect(await control(directory, 'drain', 60_000)).toBe(true);
    expect(load.acknowledged).toBeGreaterThan(100);
    expect(load.contradictions(await publishedIds(pubsub))).toEqual([]);
  });
});

/** Sends all the while: before, during and after the outage. What was heard is told apart. */
async function underLoad(url: string, proxy: CuttableProxy, name: string) {
  const load = new Load(seededRandom(name));
  const before = await phase(load, url, CALM_MS);
  await proxy.cut();
  const during = await phase(load, url, OUTAGE_MS);
  await proxy.restore();
  // The client finds its way back by itself; how long it pauses between tries is its own affair.
  await phase(load, url, 2 * CALM_MS);
  const after = await phase(load, url, CALM_MS);
  return { load, before, during, after };
}

async function phase(load: Load, url: string, ms: number): Promise<Heard> {
  load.heard.statuses.clear();
  load.heard.errors.clear();
  const end = performance.now() + ms;
  while (performance.now() < end) {
    await load.run(url, 8, AbortSignal.timeout(BURST_MS));
    await sleep(PAUSE_MS);
  }
  return { statuses: new Map(load.heard.statuses), errors: new Map(load.heard.errors) };
}

function statuses({ statuses: heard }: Heard): number[] {
  return [...heard.keys()].toSorted((a, b) => a - b);
}
