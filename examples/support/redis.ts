import { startRedis } from 'lagoon/testing';

/** A Redis server for an example to run on. */
export interface ExampleRedis {
  /** What `registerRedis` takes. */
  readonly address: string;
  readonly url: string;
  /** Ends the server, if it was started for the example. */
  close(): Promise<void>;
}

/** The server of the environment variable REDIS_URL, else a throw-away one. */
export async function redisForExample(): Promise<ExampleRedis> {
  const url = process.env.REDIS_URL;
  if (url) return { address: url, url, close: async () => {} };
  const server = await startRedis();
  return { address: server.address, url: server.url, close: () => server.stop() };
}
