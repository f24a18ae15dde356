import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';

/** A TCP proxy on loopback that can be cut: what is behind it seems dead, and keeps all it has. */
export interface CuttableProxy {
  readonly host: string;
  readonly port: number;
  /** host:port */
  readonly address: string;
  /** Breaks every connection and refuses new ones. */
  cut(): Promise<void>;
  /** Lets bytes through no more, and says nothing: a connection hangs instead of breaking. */
  stall(): void;
  /** Serves again, on the same port. */
  restore(): Promise<void>;
  close(): Promise<void>;
}

/** Starts a proxy to `target`, a host:port on loopback. */
export async function startCuttableProxy(target: string): Promise<CuttableProxy> {
  const [targetHost = '', targetPort = ''] = target.split(':');
  const sockets = new Set<Socket>();
  let stalled = false;
  const server = createServer((client) => {
    const upstream = connect(Number(targetPort), targetHost);
    for (const socket of [client, upstream]) {
      sockets.add(socket);
      socket
        .on('error', () => undefined)
        .on('close', () => {
          sockets.delete(socket);
          client.destroy();
          upstream.destroy();
        });
      if (stalled) socket.pause();
    }
    client.pipe(upstream);
    upstream.pipe(client);
    if (stalled) for (const socket of [client, upstream]) socket.unpipe().pause();
  });
  const listen = async (port: number): Promise<number> => {
    server.listen(port, '127.0.0.1');
    await once(server, 'listening');
    return (server.address() as { port: number }).port;
  };
  const cut = async (): Promise<void> => {
    if (!server.listening) return;
    const closed = once(server, 'close');
    server.close();
    for (const socket of sockets) socket.destroy();
    await closed;
  };
  const port = await listen(0);
  return {
    host: '127.0.0.1',
    port,
    address: `127.0.0.1:${port}`,
    cut,
    stall: () => {
      stalled = true;
      for (const socket of sockets) socket.unpipe().pause();
    },
    restore: async () => {
      stalled = false;
      // A stalled connection has lost its pipe: break it, so that the client connects anew.
      for (const socket of sockets) socket.destroy();
      if (!server.listening) await listen(port);
    },
    close: cut,
  };
}
