import { type AddressInfo, connect, createServer, type Socket } from 'node:net';

/** A TCP proxy that misbehaves on demand: what lies between a client and a server whose network fails. */
export interface FaultyProxy {
  readonly host: string;
  readonly port: number;
  /** `127.0.0.1:<port>` */
  readonly address: string;
  /** Connections open now. */
  readonly open: number;
  /** Connections accepted so far. */
  readonly accepted: number;
  /** Destroys every open connection, both sides; new ones are accepted. */
  cutAll(): void;
  /** While on, connections are accepted and nothing passes in either direction; what came in meanwhile follows after. */
  blackhole(on: boolean): void;
  /** Holds back every chunk, in ms; `toServer` and `toClient` are independent. `delay(0)` ends it. */
  delay(toServer: number, toClient?: number): void;
  /** Lets `bytes` more of replies through (over all connections), then destroys the connection they came on; once. */
  truncate(bytes: number): void;
  stop(): Promise<void>;
}

interface Line {
  readonly client: Socket;
  readonly server: Socket;
}

/** Starts a proxy on a free port in front of `target`: `host:port`, or the path of a unix socket. */
export async function startProxy(target: string): Promise<FaultyProxy> {
  const lines = new Set<Line>();
  let accepted = 0;
  let blackholed = false;
  let toServerMs = 0;
  let toClientMs = 0;
  let bytesLeft = Number.POSITIVE_INFINITY;

  const cut = (line: Line) => {
    lines.delete(line);
    line.client.destroy();
    line.server.destroy();
  };

  const pass = (line: Line, to: Socket, chunk: Buffer) => {
    if (to.writableEnded) return;
    if (to === line.client && chunk.length >= bytesLeft) {
      to.end(chunk.subarray(0, bytesLeft), () => cut(line));
      bytesLeft = Number.POSITIVE_INFINITY;
      return;
    }
    if (to === line.client) bytesLeft -= chunk.length;
    to.write(chunk);
  };

  const forward = (line: Line, from: Socket, to: Socket) => {
    const held: { chunk: Buffer; due: number }[] = [];
    // Only the first one held is waited for: a delay that shrinks must not let a later chunk overtake it.
    const passDue = () => {
      for (let first = held[0]; first; first = held[0]) {
        const ms = first.due - performance.now();
        if (ms > 0) return void setTimeout(passDue, ms);
        held.shift();
        pass(line, to, first.chunk);
      }
    };
    from.on('data', (chunk: Buffer) => {
      held.push({ chunk, due: performance.now() + (to === line.client ? toClientMs : toServerMs) });
      if (held.length === 1) passDue();
    });
    from.on('error', () => cut(line));
    from.on('close', () => {
      lines.delete(line);
      to.destroySoon();
    });
    if (blackholed) from.pause();
  };

  const listener = createServer({ noDelay: true }, (client) => {
    accepted += 1;
    const server = target.startsWith('/') ? connect(target) : connect({ ...hostAndPort(target), noDelay: true });
    const line: Line = { client, server };
    lines.add(line);
    forward(line, client, server);
    forward(line, server, client);
  });
  await new Promise<void>((resolve) => listener.listen(0, '127.0.0.1', resolve));
  const { port } = listener.address() as AddressInfo;

  return {
    host: '127.0.0.1',
    port,
    address: `127.0.0.1:${port}`,
    get open() {
      return lines.size;
    },
    get accepted() {
      return accepted;
    },
    cutAll() {
      for (const line of lines) cut(line);
    },
    blackhole(on) {
      blackholed = on;
      for (const { client, server } of lines) {
        for (const socket of [client, server]) on ? socket.pause() : socket.resume();
      }
    },
    delay(toServer, toClient = toServer) {
      toServerMs = toServer;
      toClientMs = toClient;
    },
    truncate(bytes) {
      bytesLeft = bytes;
    },
    stop() {
      const closed = new Promise<void>((resolve) => listener.close(() => resolve()));
      for (const line of lines) cut(line);
      return closed;
    },
  };
}

function hostAndPort(target: string): { host: string; port: number } {
  const colon = target.lastIndexOf(':');
  return { host: target.slice(0, colon), port: Number(target.slice(colon + 1)) };
}
