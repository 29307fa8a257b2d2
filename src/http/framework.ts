import type { IncomingHttpHeaders } from 'node:http';

/** What every framework on Node has below its request. */
export interface NodeRequest {
  readonly headers?: IncomingHttpHeaders;
  readonly socket?: { readonly remoteAddress?: string | undefined; readonly destroyed?: boolean } | null;
}

/** How a framework sees a request. */
export interface Framework<Request> {
  /** The middleware's name, for errors. */
  readonly call: string;
  /** What to do to have a proxy trusted, for warnings. */
  readonly trusting: string;
  readonly addressOf: (request: Request) => string | undefined;
  readonly nodeRequestOf: (request: Request) => NodeRequest | undefined;
}

/** The status that logs show for a client that hung up, as nginx has it. It is never sent. */
export const CLIENT_GONE = 499;
