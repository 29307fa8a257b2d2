import { createServer, type Socket } from 'node:net';
import { afterEach } from 'vitest';

/** One connection to a fake server, and how many commands came over it. */
export interface FakeConnection {
  readonly socket: Socket;
  commands: number;
}

/** What a fake server sends back for a command: RESP as it is, or nothing. */
export type Answer = (args: string[], connection: FakeConnection) => string | undefined;

/** A server that misbehaves as no real one can. */
export interface FakeServer {
  readonly host: string;
  readonly port: number;
  readonly address: string;
  /** Every command that came, the handshake's included. */
  readonly seen: readonly string[][];
  close(): Promise<void>;
}

const HANDSHAKE: Readonly<Record<string, string>> = {
  HELLO: '%2\r\n+server\r\n+redis\r\n+proto\r\n:3\r\n',
  CLIENT: '+OK\r\n',
  SELECT: '+OK\r\n',
};

/** Writes a bulk string. */
export const bulk = (text: string) => `$${Buffer.byteLength(text)}\r\n${text}\r\n`;

/** What a server in order says to a handshake and to PING; `undefined` to all else. */
export const inOrder: Answer = ([name = '', text]) => {
  const upper = name.toUpperCase();
  if (upper === 'PING') return text === undefined ? '+PONG\r\n' : bulk(text);
  return HANDSHAKE[upper];
};

/** Starts a server that speaks RESP and answers each command with what `answer` gives. */
export async function startFakeServer(answer: Answer): Promise<FakeServer> {
  const sockets = new Set<Socket>();
  const seen: string[][] = [];
  const server = createServer((socket) => {
    const connection = { socket, commands: 0 };
    let rest: Buffer = Buffer.alloc(0);
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
    socket.on('error', () => undefined);
    socket.on('data', (chunk) => {
      const [commands, left] = readCommands(Buffer.concat([rest, chunk]));
      rest = left;
      const replies = commands.map((args) => {
        seen.push(args);
        connection.commands++;
        return answer(args, connection) ?? '';
      });
      if (!socket.destroyed) socket.write(replies.join(''));
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as { port: number };
  return {
    host: '127.0.0.1',
    port,
    address: `127.0.0.1:${port}`,
    seen,
    close: () =>
      new Promise((resolve) => {
        for (const socket of sockets) socket.destroy();
        server.close(() => resolve());
      }),
  };
}

/** Starts fake servers for the tests of a file, closed after each test. */
export function useFakeServers(): typeof startFakeServer {
  const servers: FakeServer[] = [];
  afterEach(async () => {
    await Promise.all(servers.splice(0).map((server) => server.close()));
  });
  return async (answer) => {
    const server = await startFakeServer(answer);
    servers.push(server);
    return server;
  };
}

/** Reads whole commands, which are arrays of bulk strings, and gives what is left. */
function readCommands(bytes: Buffer): [commands: string[][], rest: Buffer] {
  const commands: string[][] = [];
  let done = 0;
  for (;;) {
    let at = done;
    const line = (): number | undefined => {
      const end = bytes.indexOf('\r\n', at);
      if (end < 0) return undefined;
      const number = Number(bytes.toString('latin1', at + 1, end));
      at = end + 2;
      return number;
    };
    const count = line();
    if (count === undefined) return [commands, bytes.subarray(done)];
    const args: string[] = [];
    while (args.length < count) {
      const length = line();
      if (length === undefined || at + length + 2 > bytes.length) return [commands, bytes.subarray(done)];
      args.push(bytes.toString('utf8', at, at + length));
      at += length + 2;
    }
    commands.push(args);
    done = at;
  }
}
