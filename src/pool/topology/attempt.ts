import { connect as connectPlain, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { startTimer } from '../../async/timers.js';
import type { Endpoint, ResolvedPool } from '../../config/types.js';
import { withEither } from '../abort.js';
import { explainRefusal, type Identity, identityOf, speaksNoTls, withoutQuotation } from './refusal.js';
import { TopologyError } from './topology-error.js';

/** A server that speaks no TLS may wait for more of what it was sent, for ever: after so long it is asked in plain text. */
const SILENCE_MS = 250;
/** How long a server may take to show what it speaks. */
const PROBE_MS = 500;

/** Pools that have reached a server, or a sentinel: what has worked once is no mistake in their configuration. */
const proven = { servers: new WeakSet<ResolvedPool>(), sentinels: new WeakSet<ResolvedPool>() };

/**
 * Makes one attempt to connect, and finds out why it failed.
 *
 * @param open makes the connection; `signal` ends it.
 * @throws {TopologyError} if the next attempt would fail for the same reason, saying what to do. Else the reason as it is.
 */
export async function attempt<T>(
  pool: ResolvedPool,
  endpoint: Endpoint,
  signal: AbortSignal,
  open: (signal: AbortSignal) => Promise<T>,
  identity: Identity = identityOf(pool),
): Promise<T> {
  const ending = new AbortController();
  const known = identity.passwordOption === 'password' ? proven.servers : proven.sentinels;
  const asking = identity.tls && !known.has(pool) ? startTimer(askInPlainText, SILENCE_MS).unref() : undefined;
  async function askInPlainText() {
    if (await speaksPlainText(endpoint, signal)) {
      ending.abort(new TopologyError(speaksNoTls(identity)));
    }
  }
  try {
    const opened = await withEither([signal, ending.signal], open);
    known.add(pool);
    return opened;
  } catch (error) {
    if (ending.signal.aborted) throw ending.signal.reason;
    if (signal.aborted) throw withoutQuotation(error as Error, identity);
    if (!identity.tls && !known.has(pool) && hungUp(error as Error) && (await speaksTls(endpoint, signal))) {
      throw new TopologyError(`the server speaks TLS there: ${identity.askForTls}`, {
        cause: withoutQuotation(error as Error, identity),
      });
    }
    throw explainRefusal(error as Error, pool, identity);
  } finally {
    clearTimeout(asking);
  }
}

/** What a server that expects TLS does when it is sent something else: it ends the connection, or sends an alert (type 21). */
function hungUp(error: Error): boolean {
  const { code } = error as NodeJS.ErrnoException;
  return code === 'ECONNRESET' || code === 'EPIPE' || /closed unexpectedly|Unknown RESP type 21\b/.test(error.message);
}

function speaksPlainText(endpoint: Endpoint, signal: AbortSignal): Promise<boolean> {
  return probe(connectPlain({ ...endpoint }), signal, (socket, settle) => {
    socket.on('connect', () => socket.write('PING\r\n'));
    // +PONG, or the refusal of whoever has to log in first.
    socket.on('data', (data) => settle(/^[+-][A-Z]+\b/.test(data.toString('latin1'))));
  });
}

function speaksTls(endpoint: Endpoint, signal: AbortSignal): Promise<boolean> {
  // Nothing is sent to whoever it is, so that it need not be trusted.
  return probe(connectTls({ ...endpoint, rejectUnauthorized: false }), signal, (socket, settle) => {
    socket.on('secureConnect', () => settle(true));
    socket.on('error', ({ code = '' }: NodeJS.ErrnoException) => settle(/^ERR_SSL_.*ALERT/.test(code)));
  });
}

function probe(
  socket: Socket,
  signal: AbortSignal,
  listen: (socket: Socket, settle: (answer: boolean) => void) => void,
): Promise<boolean> {
  return new Promise((resolve) => {
    const settle = (answer: boolean) => {
      clearTimeout(timer);
      signal.removeEventListener('abort', stop);
      socket.destroy();
      resolve(answer);
    };
    const stop = () => settle(false);
    const timer = startTimer(stop, PROBE_MS);
    signal.addEventListener('abort', stop, { once: true });
    listen(socket, settle);
    socket.on('error', stop);
    socket.on('close', stop);
  });
}
