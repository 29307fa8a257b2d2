import { once } from 'node:events';
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach } from 'vitest';
import { FRAMEWORKS, type Limiting } from './frameworks.js';

/** Something that serves `hello` at every path, and fails at `/broken`, behind limiters. */
export interface App {
  /** How many requests came through to it. */
  readonly served: number;
  /** What came to the framework's handling of errors. */
  readonly errors: readonly (Error & Record<string, unknown>)[];
  /** Where it listens. */
  readonly port: number;
  /** Resolves when the next connection that is made to it has been closed. */
  nextClosed(): Promise<unknown>;
  get(path?: string, headers?: Record<string, string>): Promise<Response & { content: string }>;
}

export interface StartOptions {
  /** Whether the framework trusts a proxy on this machine. */
  proxied?: boolean;
  /** A unix socket to listen on; default a free port of 127.0.0.1. */
  socket?: string;
}

const servers: Server[] = [];

afterEach(async () => {
  for (const server of servers.splice(0)) {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  }
});

/** A real server with the named framework; gone after the test. */
export async function startApp(
  framework: string,
  limitings: readonly Limiting[],
  { proxied = false, socket }: StartOptions = {},
): Promise<App> {
  const app = { served: 0, errors: [] as (Error & Record<string, unknown>)[], port: 0, get, nextClosed };
  const make = FRAMEWORKS[framework] as (typeof FRAMEWORKS)[string];
  const server = await make({
    limitings,
    proxied,
    work: (path) => {
      app.served++;
      if (path === '/broken') throw new Error('broken');
      return 'hello';
    },
    failed: (error) => app.errors.push(error as (typeof app.errors)[number]),
  });
  servers.push(server);
  if (socket) server.listen(socket);
  else server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  app.port = Number((server.address() as AddressInfo).port);

  async function nextClosed(): Promise<unknown> {
    const [socket] = await once(server, 'connection');
    return once(socket, 'close');
  }

  async function get(path = '/', headers: Record<string, string> = {}) {
    const response = await fetch(`http://127.0.0.1:${app.port}${path}`, { headers });
    return Object.assign(response, { content: await response.text() });
  }
  return app;
}
