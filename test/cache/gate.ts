import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { onTestFinished } from 'vitest';

/** What one connection sends, stopped on its way. */
export interface Held {
  /** Resolves once something is held. */
  readonly reached: Promise<void>;
  release(): void;
}

/** A proxy that stops single commands and replies, so that a test can say what happens in which order. */
export interface Gate {
  readonly address: string;
  /** Holds back what a connection sends from the next chunk on in which this command stands, with the argument if given. */
  holdCommand(command: string, argument?: string): Held;
  /** Holds back what the server sends on the connections that track keys. */
  holdInvalidations(): Held;
  /** Lets nothing through on the connections that track keys, in either direction, as if the network had swallowed it. */
  swallowTracking(): void;
}

interface Line {
  readonly client: Socket;
  readonly server: Socket;
  tracks: boolean;
}

/** Starts a gate in front of a server; gone after the test. */
export async function startGate(target: { host: string; port: number }): Promise<Gate> {
  const lines = new Set<Line>();
  const traps = new Set<(line: Line, chunk: Buffer) => boolean>();

  const listener = createServer({ noDelay: true }, (client) => {
    const server = connect({ host: target.host, port: target.port, noDelay: true });
    const line: Line = { client, server, tracks: false };
    lines.add(line);
    client.on('data', (chunk: Buffer) => {
      if (chunk.includes('TRACKING')) line.tracks = true;
      for (const trap of traps) if (trap(line, chunk)) return;
      server.write(chunk);
    });
    server.on('data', (chunk: Buffer) => client.write(chunk));
    for (const [from, to] of [
      [client, server],
      [server, client],
    ] as const) {
      from.on('error', () => undefined);
      from.on('close', () => {
        lines.delete(line);
        to.destroy();
      });
    }
  });
  await new Promise<void>((resolve) => listener.listen(0, '127.0.0.1', resolve));
  onTestFinished(async () => {
    const closed = new Promise((resolve) => listener.close(resolve));
    for (const { client, server } of lines) {
      client.destroy();
      server.destroy();
    }
    await closed;
  });

  return {
    address: `127.0.0.1:${(listener.address() as AddressInfo).port}`,
    holdCommand(command, argument) {
      const texts = [command, argument ?? command].map((text) => `$${Buffer.byteLength(text)}\r\n${text}\r\n`);
      let reach = () => {};
      const reached = new Promise<void>((resolve) => {
        reach = resolve;
      });
      let held: { line: Line; chunks: Buffer[] } | undefined;
      const trap = (line: Line, chunk: Buffer) => {
        if (held) {
          if (held.line !== line) return false;
          held.chunks.push(chunk);
          return true;
        }
        if (!texts.every((text) => chunk.includes(text))) return false;
        held = { line, chunks: [chunk] };
        reach();
        return true;
      };
      traps.add(trap);
      return {
        reached,
        release() {
          traps.delete(trap);
          for (const chunk of held?.chunks ?? []) held?.line.server.write(chunk);
        },
      };
    },
    holdInvalidations() {
      const tracking = [...lines].filter(({ tracks }) => tracks);
      for (const { server } of tracking) server.pause();
      return {
        reached: Promise.resolve(),
        release() {
          for (const { server } of tracking) server.resume();
        },
      };
    },
    swallowTracking() {
      for (const { client, server, tracks } of lines) {
        if (!tracks) continue;
        client.pause();
        server.pause();
      }
    },
  };
}
