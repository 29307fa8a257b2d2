import { EventEmitter } from 'node:events';
import { connect as connectPlain, type NetConnectOpts, type Socket } from 'node:net';
import { type ConnectionOptions, connect as connectTls } from 'node:tls';
import { type RedisArgument, SocketClosedUnexpectedlyError } from 'redis';

/** What is read at most at once; what Node itself would take. */
const READ_BYTES = 64 * 1024;

/** What `node:net` takes, or with `tls: true` what `node:tls` takes. */
export type SocketOptions = (NetConnectOpts & { readonly tls?: false }) | (ConnectionOptions & { readonly tls: true });

/**
 * The socket of one connection, in the place of node-redis's own: what its client uses of that is here. It is connected once.
 *
 * It is ours for two reasons. Node allocates 64 KB for everything that it reads unless it is given a buffer to use again, which
 * node-redis rules out, and that costs as much as a tenth of a small command. And what is to be written now is written now.
 */
export class LinkSocket extends EventEmitter {
  /** From `connect` to the end. */
  isOpen = false;
  /** Whether commands may be sent: the handshake is over. */
  isReady = false;
  readonly #options: SocketOptions;
  readonly #handshake: () => Promise<unknown>;
  #socket: Socket | undefined;

  /** @param handshake what is said before anything else; a connection on which it fails is closed. */
  constructor(options: SocketOptions, handshake: () => Promise<unknown>) {
    super();
    this.#options = options;
    this.#handshake = handshake;
  }

  get host(): string | undefined {
    return 'host' in this.#options ? this.#options.host : undefined;
  }

  get port(): number | undefined {
    return 'port' in this.#options ? this.#options.port : undefined;
  }

  /** Resolves when it is ready; rejects with the reason why it is not to be. */
  connect(): Promise<void> {
    this.isOpen = true;
    return new Promise((resolve, reject) => {
      const socket = this.#open();
      this.#socket = socket;
      const lose = (error: Error) => {
        const { isReady } = this;
        this.#release();
        if (isReady) this.emit('error', error);
        else reject(error);
      };
      const begin = async () => {
        await this.#handshake();
        if (this.#socket !== socket) return;
        this.isReady = true;
        this.emit('ready');
        resolve();
      };
      socket.on('error', lose);
      socket.on('close', () => lose(new SocketClosedUnexpectedlyError()));
      socket.on('drain', () => this.emit('drain'));
      socket.once(this.#options.tls ? 'secureConnect' : 'connect', () => void begin().catch(lose));
    });
  }

  /** Whether what is written goes out now; if it is full, it tells of `drain` when it is not any more. */
  get takesMore(): boolean {
    const socket = this.#socket;
    return socket?.writable === true && !socket.writableNeedDrain;
  }

  /** Writes chunks now: the first, and what follows until it is full. */
  write(chunks: Iterable<readonly RedisArgument[]>): void {
    if (!this.#socket?.writable) return;
    for (const chunk of chunks) {
      this.writeChunk(chunk);
      if (!this.takesMore) break;
    }
  }

  /** Writes one chunk now. */
  writeChunk(chunk: readonly RedisArgument[]): void {
    const socket = this.#socket;
    if (!socket) return;
    // Corking costs as much as the rest for what is in one piece, as it mostly is.
    if (chunk.length === 1) socket.write(chunk[0] as RedisArgument);
    else {
      socket.cork();
      for (const part of chunk) socket.write(part);
      socket.uncork();
    }
  }

  destroy(): void {
    if (!this.isOpen) return;
    this.#release();
    this.emit('end');
  }

  #release(): void {
    const socket = this.#socket;
    this.#socket = undefined;
    this.isOpen = false;
    this.isReady = false;
    socket?.destroy();
  }

  #open(): Socket {
    const buffer = Buffer.allocUnsafeSlow(READ_BYTES);
    const onread = {
      buffer,
      callback: (bytes: number) => {
        // A copy, as replies that are Buffers are parts of it.
        const chunk = Buffer.allocUnsafe(bytes);
        buffer.copy(chunk, 0, 0, bytes);
        this.emit('data', chunk);
        return true;
      },
    };
    const options = { ...this.#options, onread };
    return options.tls ? connectTls(options) : connectPlain(options as NetConnectOpts);
  }
}
