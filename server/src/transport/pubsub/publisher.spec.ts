import { describe, expect, it } from 'vitest';
import { encodeLine } from '../../event/line.ts';
import { EVENT_EXAMPLE } from '../../event/schema.ts';
import type { PubsubClient } from './client.ts';
import { PUBSUB_ERRORS, pubsubError } from './errors.ts';
import { PubsubPublisher } from './publisher.ts';

/* Limits, deadlines and faults that a real broker cannot be made to show; the rest is in test/cloud, against one. */

type Answer = (error?: Error | null) => void;

const LINE = encodeLine(EVENT_EXAMPLE, { project: 'p', receivedAtUs: 1, newEventId: () => 'id' });
const broken = (code: number) => Object.assign(new Error(`code ${code}`), { code });

/** A client whose broker answers when the test says so. */
function silentBroker() {
  const answers: Answer[] = [];
  const topic = {
    publishMessage: (_message: unknown, answer: Answer) => void answers.push(answer),
    flush: () => Promise.resolve(),
  };
  const client = { topic: () => topic, close: () => Promise.resolve() } as unknown as PubsubClient;
  return { answers, client };
}

async function opened(limits: { waitingMax?: number; bytesMax?: number; eventsMax?: number } = {}) {
  const { answers, client } = silentBroker();
  const publisher = new PubsubPublisher({
    projectId: 'p',
    topic: 't',
    limits: { waitingMax: limits.waitingMax ?? 10, bytesMax: limits.bytesMax ?? 1e6 },
    eventsMax: limits.eventsMax ?? 100,
    timeoutMs: 100,
    makeClient: () => client,
  });
  await publisher.open();
  return { publisher, answers };
}

describe('PubsubPublisher', () => {
  it('resolves when every event of the batch is acknowledged, not before', async () => {
    const { publisher, answers } = await opened();
    let done = false;
    const published = publisher.publish([LINE, LINE]).then(() => (done = true));
    answers[0]!(null);
    await Promise.resolve();
    expect(done).toBe(false);
    expect(publisher.stats()).toMatchObject({ events: 2, waiting: 1 });
    answers[1]!(null);
    await published;
    expect(publisher.stats()).toEqual({ events: 0, bytes: 0, waiting: 0 });
  });

  it.each([
    ['requests', { waitingMax: 1 }],
    ['events', { eventsMax: 2 }],
    ['bytes', { bytesMax: 10 }],
  ])('refuses beyond its limit of %s, at once, and goes on when there is room', async (_, limits) => {
    const { publisher, answers } = await opened(limits);
    const first = publisher.publish([LINE, LINE]);
    await expect(publisher.publish([LINE])).rejects.toMatchObject({ code: 'unavailable' });
    for (const answer of answers.splice(0)) answer(null);
    await first;
    const second = publisher.publish([LINE]);
    for (const answer of answers) answer(null);
    await second;
  });

  it('says that the outcome is unknown when nothing comes back, and counts the events until it does', async () => {
    const { publisher, answers } = await opened();
    await expect(publisher.publish([LINE])).rejects.toMatchObject({ code: 'timeout' });
    expect(publisher.stats()).toMatchObject({ events: 1 });
    answers[0]!(null);
    expect(publisher.stats()).toMatchObject({ events: 0 });
  });

  it('says that the outcome is unknown when a part of the batch failed, whatever the reason', async () => {
    const { publisher, answers } = await opened();
    const published = publisher.publish([LINE, LINE]);
    answers[0]!(null);
    answers[1]!(broken(7));
    await expect(published).rejects.toMatchObject({ code: 'timeout' });
  });

  it('settles every promise before close() resolves, and rejects later ones with closed', async () => {
    const { publisher, answers } = await opened();
    let settled = 0;
    const published = [1, 2, 3].map(() => publisher.publish([LINE]).finally(() => (settled += 1)));
    const closed = publisher.close().then(() => settled);
    await expect(publisher.publish([LINE])).rejects.toMatchObject({ code: 'closed' });
    for (const answer of answers) answer(null);
    await Promise.all(published);
    expect(await closed).toBe(3);
    await publisher.close();
  });

  it('sends nothing of a batch that has a line which is no event', async () => {
    const { publisher, answers } = await opened();
    await expect(publisher.publish([LINE, 'nope'])).rejects.toMatchObject({ code: 'rejected' });
    await expect(publisher.check([LINE, 'nope'])).rejects.toMatchObject({ code: 'rejected' });
    await publisher.check([LINE]);
    expect(answers).toHaveLength(0);
    expect(publisher.stats()).toEqual({ events: 0, bytes: 0, waiting: 0 });
  });
});

describe('pubsubError()', () => {
  it.each(Object.entries(PUBSUB_ERRORS))('gRPC status %s is %s', (status, code) => {
    expect(pubsubError(broken(Number(status)))).toMatchObject({ name: 'StoreError', code });
  });

  it('takes what is no status for a fault before anything was sent', () => {
    expect(pubsubError(new Error('Could not load the default credentials'))).toMatchObject({
      code: 'unavailable',
    });
  });
});
