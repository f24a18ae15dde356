import type { IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';

/** How long a connection stays open for reading after such an answer, in milliseconds. */
const LINGER_MS = 1_000;

/** Bytes of a body that are read and thrown away meanwhile. */
const DISCARDED_BYTES_MAX = 256 * 1_024;

/** Connections that may linger at a time; beyond it they are closed at once. */
const LINGERING_MAX = 1_000;

/**
 * Answers that do not wait for the rest of the request. Closing a connection on which bytes still arrive makes the
 * system send a reset, on which a client may lose the answer. So the server closes its own side only, throws away a
 * bounded number of further bytes for a bounded time, and then closes the rest. Nothing of it is kept in memory.
 */
export class EarlyAnswers {
  readonly #lingering = new Set<Socket>();

  /**
   * Call before the answer is sent, with `connection: close` among its headers. From here on the body belongs to nobody.
   */
  prepare(request: IncomingMessage): void {
    const { socket } = request;
    let discarded = 0;
    const discard = (chunk: Buffer) => {
      discarded += chunk.length;
      if (discarded > DISCARDED_BYTES_MAX) request.pause();
    };
    request
      .on('error', () => undefined)
      .on('data', discard)
      .resume();
    // Node calls this when the answer is written and the connection is of no more use.
    socket.destroySoon = () => this.#close(socket, request);
  }

  #close(socket: Socket, request: IncomingMessage): void {
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
