import type { IncomingHttpHeaders, IncomingMessage } from 'node:http';
import { PassThrough } from 'node:stream';
import { setImmediate as turn, setTimeout as sleep } from 'node:timers/promises';
import { brotliCompressSync, gzipSync, zstdCompressSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { Problem } from '../http/problems.ts';
import { type Body, readBody } from './body.ts';
import { BodyBudget } from './body-budget.ts';
import { LARGE_BODY_BYTES, LargeBodies } from './large-bodies.ts';
import { LargeWork } from './large-work.ts';

const MIB = 1_024 * 1_024;

function reading(budgetBytes = 128 * MIB, placesMax = 2) {
  const budget = new BodyBudget(budgetBytes);
  const large = new LargeBodies({ placesMax });
  const work = new LargeWork();
  const send = (headers: IncomingHttpHeaders) => {
    const stream = new PassThrough({ highWaterMark: 64 * 1_024 });
    const socket = {
      remoteAddress: 'a',
      destroyed: false,
      paused: false,
      pause: () => void (socket.paused = true),
      resume: () => void (socket.paused = false),
    };
    const request = Object.assign(stream, { headers, socket });
    let proceeded = false;
    const proceed = () => void (proceeded = true);
    const options = { bytesMax: 10 * MIB, budget, large, work, proceed };
    const body = readBody(request as unknown as IncomingMessage, options);
    body.catch(() => undefined);
    return { stream, socket, body, proceeded: () => proceeded };
  };
  return { budget, send };
}

async function settled(body: Promise<Body>): Promise<boolean> {
  await turn();
  return Promise.race([body.then(() => true), turn(false)]);
}

describe('readBody()', () => {
  it('holds a body until it is released', async () => {
    const { budget, send } = reading();
    const { stream, body } = send({ 'content-length': '5' });
    stream.end('hello');
    const { bytes, release } = await body;
    expect([bytes.toString(), budget.bytes]).toEqual(['hello', 5]);
    release();
    expect(budget.bytes).toBe(0);
  });

  it('puts many chunks together, whatever their sizes', async () => {
    const { budget, send } = reading();
    const { stream, body } = send({ 'transfer-encoding': 'chunked' });
    const chunks = Array.from({ length: 3_000 }, (_, n) => Buffer.alloc((n * 7) % 400, n));
    for (const chunk of chunks) stream.write(chunk);
    stream.end();
    const { bytes, release } = await body;
    expect(bytes.equals(Buffer.concat(chunks))).toBe(true);
    expect(budget.bytes).toBeGreaterThanOrEqual(bytes.length);
    release();
    expect(budget.bytes).toBe(0);
  });

  it('regression: a body of tiny chunks takes its bytes, not an object for each', async () => {
    const { send } = reading();
    const { stream, body } = send({ 'transfer-encoding': 'chunked' });
    const before = process.memoryUsage().heapUsed;
    for (let sent = 0; sent < 200_000; sent += 1) {
      if (!stream.write(Buffer.from(' '))) await turn();
    }
    // A list of them would be 20 MB and more.
    expect(process.memoryUsage().heapUsed - before).toBeLessThan(200_000 * 100);
    stream.end();
    expect((await body).bytes.length).toBe(200_000);
  });

  it('regression: a large body waits unread for its place, and gives it back', async () => {
    const { budget, send } = reading();
    const first = send({ 'content-length': String(MIB) });
    const second = send({ 'content-length': String(MIB) });
    await turn();
    expect([first.proceeded(), second.proceeded()]).toEqual([true, false]);
    second.stream.write(Buffer.alloc(1_000));
    await turn();
    expect(second.stream.readableFlowing).toBe(false);
    first.stream.end(Buffer.alloc(MIB));
    second.stream.end(Buffer.alloc(MIB - 1_000));
    const { release } = await first.body;
    expect(await settled(second.body)).toBe(false);
    release();
    const body = await second.body;
    expect(second.proceeded()).toBe(true);
    body.release();
    expect(budget.bytes).toBe(0);
  });

  it('regression: a body that turns out to be large waits in the middle', async () => {
    const { budget, send } = reading();
    const first = send({ 'content-length': String(MIB) });
    const bytes = Buffer.alloc(LARGE_BODY_BYTES + 5_000, 'x');
    const second = send({ 'content-encoding': 'gzip' });
    second.stream.end(gzipSync(bytes, { level: 0 }));
    for (let times = 0; times < 20; times += 1) expect(await settled(second.body)).toBe(false);
    expect(budget.bytes).toBeLessThan(LARGE_BODY_BYTES * 2);
    first.stream.destroy();
    await expect(first.body).rejects.toMatchObject({ code: 'bad-request' });
    const body = await second.body;
    expect(body.bytes.equals(bytes)).toBe(true);
    body.release();
    expect(budget.bytes).toBe(0);
  });

  it('regression: of a body in chunks that waits the socket stops, and goes on after the wait or a refusal', async () => {
    const { budget, send } = reading();
    const first = send({ 'content-length': String(MIB) });
    const [second, third] = [send({}), send({})];
    for (const { stream } of [second, third]) stream.write(Buffer.alloc(LARGE_BODY_BYTES + 1));
    await sleep(20);
    expect([second.socket.paused, third.socket.paused]).toEqual([true, true]);
    third.stream.emit('error', new Problem('request-timeout', 'late'));
    await expect(third.body).rejects.toMatchObject({ code: 'request-timeout' });
    expect(third.socket.paused).toBe(false);
    first.stream.end(Buffer.alloc(MIB));
    (await first.body).release();
    second.stream.end();
    (await second.body).release();
    expect([second.socket.paused, budget.bytes]).toEqual([false, 0]);
  });

  it('regression: a body whose last chunk makes it large is whole', async () => {
    const { budget, send } = reading();
    const bytes = Buffer.alloc(LARGE_BODY_BYTES + 1, 'x');
    const { stream, body } = send({ 'transfer-encoding': 'chunked' });
    stream.write(bytes.subarray(1));
    stream.end(bytes.subarray(0, 1));
    const { bytes: read, release } = await body;
    expect(read.equals(bytes)).toBe(true);
    release();
    expect(budget.bytes).toBe(0);
  });

  it('forgets a large body whose client goes while it waits', async () => {
    const { budget, send } = reading();
    const first = send({ 'content-length': String(MIB) });
    const second = send({ 'content-length': String(MIB) });
    second.stream.destroy();
    await expect(second.body).rejects.toMatchObject({ code: 'bad-request' });
    first.stream.end(Buffer.alloc(MIB));
    (await first.body).release();
    expect([budget.bytes, second.proceeded()]).toEqual([0, false]);
  });

  it('regression: a body that is refused as it gets its place leaves nothing behind', async () => {
    const { budget, send } = reading();
    const first = send({ 'content-length': String(MIB) });
    const second = send({ 'content-length': String(MIB) });
    first.stream.end(Buffer.alloc(MIB));
    const { release } = await first.body;
    release();
    second.stream.emit('error', new Problem('request-timeout', 'late'));
    await expect(second.body).rejects.toMatchObject({ code: 'request-timeout' });
    await turn();
    expect([budget.bytes, second.proceeded()]).toEqual([0, false]);
    const third = send({ 'content-length': String(MIB) });
    third.stream.end(Buffer.alloc(MIB));
    (await third.body).release();
  });

  it('regression: eight compressed bodies are taken in at a time, until they are released', async () => {
    const { budget, send } = reading();
    const zipped = gzipSync(Buffer.alloc(100_000, 'x'), { level: 0 });
    const sent = Array.from({ length: 9 }, () => send({ 'content-encoding': 'gzip' }));
    for (const { stream } of sent) stream.end(zipped);
    const held = await Promise.all(sent.slice(0, 8).map(({ body }) => body));
    for (let times = 0; times < 20; times += 1) expect(await settled(sent[8]!.body)).toBe(false);
    held[0]!.release();
    for (const { release } of [...held.slice(1), await sent[8]!.body]) release();
    expect(budget.bytes).toBe(0);
  });

  it('regression: of bodies that grow a lot two are taken in, some wait, and others pass them', async () => {
    const { budget, send } = reading();
    const grows = zstdCompressSync(Buffer.alloc(400_000, ' '));
    const post = () => {
      const sent = send({ 'content-encoding': 'zstd' });
      sent.stream.end(grows);
      return sent;
    };
    const held = await Promise.all([post(), post()].map(({ body }) => body));
    const waiting = Array.from({ length: 256 }, post);
    // Each passes the eight slots first.
    await sleep(500);
    await expect(post().body).rejects.toMatchObject({ code: 'server-busy' });
    expect(budget.bytes).toBeLessThan(2 * MIB);
    const usual = send({ 'content-encoding': 'gzip' });
    usual.stream.end(gzipSync(Buffer.alloc(100_000, 'x'), { level: 0 }));
    (await usual.body).release();
    for (const { socket } of waiting.slice(1)) socket.destroyed = true;
    held[0]!.release();
    (await waiting[0]!.body).release();
    await expect(waiting[1]!.body).rejects.toMatchObject({ code: 'bad-request' });
    held[1]!.release();
    await Promise.allSettled(waiting.map(({ body }) => body));
  });

  it('regression: slow senders of larger bodies leave room for small ones', async () => {
    const { budget, send } = reading(MIB);
    const slow = Array.from({ length: 40 }, () => {
      const { stream, body } = send({ 'content-length': '100000' });
      stream.write(Buffer.alloc(50_000));
      return body;
    });
    await turn();
    const refused = await Promise.all(
      slow.map((body) => Promise.race([body.then(() => 'ok', String), turn('slow')])),
    );
    expect(refused.filter((one) => one.includes('at the same time')).length).toBeGreaterThan(20);
    const small = send({ 'content-length': '5' });
    small.stream.end('hello');
    (await small.body).release();
    expect(budget.bytes).toBeLessThanOrEqual(MIB / 2);
  });

  it.each([
    ['zstd', zstdCompressSync(Buffer.alloc(10 * MIB, '['))],
    ['br', brotliCompressSync(Buffer.alloc(10 * MIB, ' '))],
  ])('regression: refuses an absurd ratio of %s early', async (encoding, bomb) => {
    const { budget, send } = reading();
    let most = 0;
    const { stream, body } = send({ 'content-encoding': encoding });
    const watch = setInterval(() => (most = Math.max(most, budget.bytes)), 0);
    stream.end(bomb);
    await expect(body).rejects.toMatchObject({
      code: 'body-too-large',
      message: expect.stringContaining('times as large') as string,
    });
    clearInterval(watch);
    expect(most).toBeLessThan(5 * MIB);
    expect(budget.bytes).toBe(0);
  });

  it.each(['gzip', 'br', 'zstd'] as const)(
    'takes a batch that repeats itself as real ones do: %s',
    async (encoding) => {
      const context = { agent: 'Mozilla/5.0 (X11; Linux x86_64)', text: 'lorem ipsum '.repeat(80) };
      const events = Array.from({ length: 8_000 }, (_, n) =>
        JSON.stringify({ user_id: 'u', event_time: 1_764_000_000 + n, properties: context }),
      );
      const bytes = Buffer.from(`[${events.join(',')}]`);
      const compress = { gzip: gzipSync, br: brotliCompressSync, zstd: zstdCompressSync }[encoding];
      const { send } = reading();
      const { stream, body } = send({ 'content-encoding': encoding });
      stream.end(compress(bytes));
      expect((await body).bytes.equals(bytes)).toBe(true);
    },
  );
});
