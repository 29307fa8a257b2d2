import { connect } from 'node:net';
import { startTimer } from '../async/timers.js';
import { ReplyError } from '../errors.js';
import { TestingError } from './errors.js';

/** A reply as RESP 2 has it; bulk strings are read as UTF-8. */
export type RedisReply = string | number | null | RedisReply[];

/** The name of a command and its arguments; a Buffer for what is not text. */
export type Command = readonly (string | Buffer)[];

/** How an exchange goes. */
export interface ExchangeOptions {
  readonly timeoutMs: number;
  /** How bulk strings are read; `latin1` loses no byte, whatever they hold. Default `utf8`. */
  readonly encoding?: 'utf8' | 'latin1';
}

/**
 * Opens a connection to a unix socket, sends `commands` one after the other, and closes it.
 * It is for looking at a server from outside, whatever its TCP port demands: not a client.
 *
 * @returns the replies, one per command.
 * @throws {ReplyError} if the server answers any of them with an error.
 * @throws {TestingError} if the replies are not there after `timeoutMs`.
 */
export function exchange(path: string, commands: readonly Command[], options: ExchangeOptions): Promise<RedisReply[]> {
  const { timeoutMs, encoding = 'utf8' } = options;
  return new Promise((resolve, reject) => {
    const socket = connect(path);
    const chunks: Buffer[] = [];
    const finish = (settle: () => void) => {
      clearTimeout(timer);
      socket.destroy();
      settle();
    };
    const fail = (error: Error) => finish(() => reject(error));
    const timer = startTimer(() => fail(noAnswer(timeoutMs)), timeoutMs);
    socket.on('error', fail);
    socket.on('close', () => fail(new TestingError('LAGOON_TESTING_NOT_RUNNING', 'The server closed the connection')));
    socket.on('data', (chunk) => {
      chunks.push(chunk);
      const replies = parseAll(Buffer.concat(chunks), commands.length, encoding);
      const error = replies?.find((reply) => reply instanceof ReplyError);
      if (error) fail(error);
      else if (replies) finish(() => resolve(replies as RedisReply[]));
    });
    socket.write(Buffer.concat(commands.flatMap(encode)));
  });
}

function noAnswer(timeoutMs: number): TestingError {
  return new TestingError('LAGOON_TESTING_TIMEOUT', `The server did not answer within ${timeoutMs} ms; is it frozen?`);
}

function encode(command: Command): Buffer[] {
  const parts = command.map((arg) => [`$${Buffer.byteLength(arg)}\r\n`, arg, '\r\n']);
  return [`*${command.length}\r\n`, ...parts.flat()].map((part) => Buffer.from(part as string));
}

/** The first `count` replies, or `undefined` if they are not complete yet. */
function parseAll(bytes: Buffer, count: number, encoding: BufferEncoding): (RedisReply | ReplyError)[] | undefined {
  const replies: (RedisReply | ReplyError)[] = [];
  for (let at = 0; replies.length < count; ) {
    const parsed = parse(bytes, at, encoding);
    if (!parsed) return undefined;
    replies.push(parsed.reply);
    at = parsed.end;
  }
  return replies;
}

function parse(
  bytes: Buffer,
  start: number,
  encoding: BufferEncoding,
): { reply: RedisReply | ReplyError; end: number } | undefined {
  const lineEnd = bytes.indexOf('\r\n', start);
  if (lineEnd < 0) return undefined;
  const line = bytes.toString('utf8', start + 1, lineEnd);
  let end = lineEnd + 2;
  switch (bytes.toString('latin1', start, start + 1)) {
    case '+':
      return { reply: line, end };
    case '-':
      return { reply: new ReplyError(line), end };
    case ':':
      return { reply: Number(line), end };
    case '$': {
      const length = Number(line);
      if (length < 0) return { reply: null, end };
      if (bytes.length < end + length + 2) return undefined;
      return { reply: bytes.toString(encoding, end, end + length), end: end + length + 2 };
    }
    default: {
      const items: RedisReply[] = [];
      for (let left = Number(line); left > 0; left--) {
        const item = parse(bytes, end, encoding);
        if (!item) return undefined;
        // An error inside an array (EXEC) is shown as its text.
        items.push(item.reply instanceof ReplyError ? item.reply.message : item.reply);
        end = item.end;
      }
      return { reply: Number(line) < 0 ? null : items, end };
    }
  }
}
