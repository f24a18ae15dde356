import type { IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';

/** How long a connection stays half open after such an answer, in milliseconds. */
const LINGER_MS = 1_000;

/** A body up to this many bytes is read and thrown away meanwhile; of a longer one nothing more is read. */
const DISCARDED_BYTES_MAX = 64 * 1_024;

/** Connections that may linger at a time; beyond it they are closed at once. */
const LINGERING_MAX = 1_000;

/**
 * Answers that do not wait for the rest of the request. Closing a connection on which bytes still arrive makes the
 * system send a reset, on which a client may lose the answer. So the server closes its own side, and the rest when the
 * body is through or the time is up. Nothing of the body is kept in memory, and of a long one nothing is read: that
 * would cost more than the answer.
 */
export class EarlyAnswers {
  readonly #lingering = new Set<Socket>();

  /** Call before the answer is sent, with `connection: close` among its headers; the body belongs to nobody then. */
  prepare(request: IncomingMessage): void {
    const { socket } = request;
    request.on('error', () => undefined);
    // Without a length it is read up to the limit, like a short one.
    const long = Number(request.headers['content-length'] ?? 0) > DISCARDED_BYTES_MAX;
    if (long) stopReading(request);
    else discard(request);
    // Node calls this when the answer is written and the connection is of no more use.
    socket.destroySoon = () => this.#close(request);
  }

  #close(request: IncomingMessage): void {
    const { socket } = request;
    if (socket.destroyed) return;
    if (this.#lingering.has(socket) || this.#lingering.size >= LINGERING_MAX) {
      socket.destroy();
      return;
    }
    this.#lingering.add(socket);
    const timer = setTimeout(() => socket.destroy(), LINGER_MS);
    socket.once('close', () => {
      clearTimeout(timer);
      this.#lingering.delete(socket);
    });
    socket.end(() => {
      if (request.complete) socket.destroy();
      else request.once('end', () => socket.destroy());
    });
  }
}

function discard(request: IncomingMessage): void {
  let discarded = 0;
  request.on('data', (chunk: Buffer) => {
    discarded += chunk.length;
    if (discarded > DISCARDED_BYTES_MAX) stopReading(request);
  });
  request.resume();
}

/**
 * Node reads to the end a request that nobody has begun to read, so that has to begin. It takes effect a tick later, and
 * only what is paused after it stays paused.
 */
function stopReading(request: IncomingMessage): void {
  request.read(0);
  process.nextTick(() => {
    request.pause();
    request.socket.pause();
  });
}
