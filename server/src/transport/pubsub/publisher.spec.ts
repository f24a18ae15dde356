import { describe, expect, it } from 'vitest';
import { encodeLine } from '../../event/line.ts';
import { EVENT_EXAMPLE } from '../../event/schema.ts';
import { EventLines } from '../../event/lines.ts';
import type { PubsubClient, PubsubMessage } from './client.ts';
import { PUBSUB_ERRORS, pubsubError } from './errors.ts';
import { PubsubPublisher } from './publisher.ts';

/* Limits, deadlines and faults that a real broker cannot be made to show; the rest is in test/cloud, against one. */

type Answer = (error?: Error | null) => void;

const LINE = encodeLine(EVENT_EXAMPLE, { project: 'p', receivedAtUs: 1, newEventId: () => 'id' });
const broken = (code: number) => Object.assign(new Error(`code ${code}`), { code });

/** A client whose broker answers when the test says so. */
function silentBroker() {
  const answers: Answer[] = [];
  const messages: { readonly topic: string; readonly message: PubsubMessage }[] = [];
  const topicNamed = (topic: string) => ({
    publishMessage: (message: PubsubMessage, answer: Answer) => {
      messages.push({ topic, message });
      answers.push(answer);
    },
    flush: () => Promise.resolve(),
  });
  const client = { topic: topicNamed, close: () => Promise.resolve() } as unknown as PubsubClient;
  return { answers, messages, client };
}

async function opened(
  limits: { waitingMax?: number; bytesMax?: number; eventsMax?: number; timeoutMs?: number } = {},
) {
  const { answers, messages, client } = silentBroker();
  const publisher = new PubsubPublisher({
    projectId: 'p',
    topic: 't',
    limits: { waitingMax: limits.waitingMax ?? 10, bytesMax: limits.bytesMax ?? 1e6 },
    eventsMax: limits.eventsMax ?? 100,
    timeoutMs: limits.timeoutMs ?? 100,
    makeClient: () => client,
  });
  await publisher.open();
  return { publisher, answers, messages };
}

describe('PubsubPublisher', () => {
  it('resolves when every event of the batch is acknowledged, not before', async () => {
    const { publisher, answers } = await opened();
    let done = false;
    const published = publisher.publish(EventLines.of([LINE, LINE])).then(() => (done = true));
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
    const first = publisher.publish(EventLines.of([LINE, LINE]));
    await expect(publisher.publish(EventLines.of([LINE]))).rejects.toMatchObject({ code: 'unavailable' });
    for (const answer of answers.splice(0)) answer(null);
    await first;
    const second = publisher.publish(EventLines.of([LINE]));
    for (const answer of answers) answer(null);
    await second;
  });

  it('says that the outcome is unknown when nothing comes back, and counts the events until it does', async () => {
    const { publisher, answers } = await opened();
    await expect(publisher.publish(EventLines.of([LINE]))).rejects.toMatchObject({ code: 'timeout' });
    expect(publisher.stats()).toMatchObject({ events: 1 });
    answers[0]!(null);
    await expect.poll(() => publisher.stats().events).toBe(0);
  });

  it('says that the outcome is unknown when a part of the batch failed, whatever the reason', async () => {
    const { publisher, answers } = await opened();
    const published = publisher.publish(EventLines.of([LINE, LINE]));
    answers[0]!(null);
    answers[1]!(broken(7));
    await expect(published).rejects.toMatchObject({ code: 'timeout' });
  });

  it('says that the outcome is unknown when one failure may have been stored, whatever the other says', async () => {
    for (const codes of [
      [8, 4],
      [4, 8],
    ]) {
      const { publisher, answers } = await opened();
      const published = publisher.publish(EventLines.of([LINE, LINE]));
      for (const [index, code] of codes.entries()) answers[index]!(broken(code));
      await expect(published).rejects.toMatchObject({ code: 'timeout' });
    }
  });

  it('tries again what failed in passing, that alone, and remembers that it may be stored', async () => {
    const { publisher, answers } = await opened({ timeoutMs: 5_000 });
    const published = publisher.publish(EventLines.of([LINE, LINE]));
    answers[0]!(null);
    answers[1]!(broken(14));
    await expect.poll(() => answers.length).toBe(3);
    answers[2]!(null);
    await published;
    const unsure = publisher.publish(EventLines.of([LINE]));
    answers[3]!(broken(14));
    await expect.poll(() => answers.length).toBe(5);
    answers[4]!(broken(7));
    await expect(unsure).rejects.toMatchObject({ code: 'timeout' });
  });

  it('closes in bounded time also when the broker never answers', async () => {
    const { publisher } = await opened();
    const published = publisher.publish(EventLines.of([LINE]));
    const closed = publisher.close();
    await expect(published).rejects.toMatchObject({ code: 'timeout' });
    await closed;
  });

  it('sends dead letters to their own topic, cut to what a message can hold', async () => {
    const { publisher, answers, messages } = await opened();
    const sent = publisher.publishDeadLetters([{ detail: 'x'.repeat(5_000), body: 'ä'.repeat(2_000_000) }]);
    answers[0]!(null);
    await sent;
    const [{ topic, message }] = messages as [(typeof messages)[number]];
    expect(topic).toBe('t-dead-letters');
    expect(message.data.length).toBe(1_048_576);
    expect(Object.values(message.attributes!)).toEqual(['x'.repeat(250)]);
  });

  it('settles every promise before close() resolves, and rejects later ones with closed', async () => {
    const { publisher, answers } = await opened();
    let settled = 0;
    const published = [1, 2, 3].map(() =>
      publisher.publish(EventLines.of([LINE])).finally(() => (settled += 1)),
    );
    const closed = publisher.close().then(() => settled);
    await expect(publisher.publish(EventLines.of([LINE]))).rejects.toMatchObject({ code: 'closed' });
    for (const answer of answers) answer(null);
    await Promise.all(published);
    expect(await closed).toBe(3);
    await publisher.close();
  });

  it('sends nothing of a batch that has a line which is no event', async () => {
    const { publisher, answers } = await opened();
    await expect(publisher.publish(EventLines.of([LINE, 'nope']))).rejects.toMatchObject({
      code: 'rejected',
    });
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
