import type { IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';

/** How long a connection stays half open after such an answer, in milliseconds. */
const LINGER_MS = 1_000;

/** A body up to this many bytes is read and thrown away meanwhile; of a longer one nothing more is read. */
const DISCARDED_BYTES_MAX = 64 * 1_024;

/** A body in more chunks than this is not read to its end either: a tiny chunk costs as much time as a large one. */
const DISCARDED_CHUNKS_MAX = 256;

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
  let bytes = 0;
  let chunks = 0;
  request.on('data', (chunk: Buffer) => {
    bytes += chunk.length;
    chunks += 1;
    if (bytes > DISCARDED_BYTES_MAX || chunks > DISCARDED_CHUNKS_MAX) stopReading(request);
  });
  request.resume();
}

/**
 * Stops the socket, not the request: what was read already still flows and is thrown away. A paused request would keep
 * it, a Buffer for each chunk, and would resume the socket until 64 KiB are kept, which tens of thousands of tiny chunks are.
 */
function stopReading(request: IncomingMessage): void {
  request._read = () => undefined;
  request.resume();
  request.socket.pause();
}
