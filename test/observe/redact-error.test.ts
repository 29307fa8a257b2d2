import { createClient } from 'redis';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ConnectionError, ReplyError } from '../../src/errors.js';
import { redactCommand } from '../../src/observe/redact.js';
import { redactError } from '../../src/observe/redact-error.js';
import { useRedis } from '../support/redis.js';

const SECRET = 'hunter2';

describe('what Redis says in its errors', () => {
  const redis = useRedis();
  let client: ReturnType<typeof createClient>;

  beforeAll(async () => {
    client = createClient({ url: redis().url });
    await client.connect();
  });
  afterAll(() => client.destroy());

  /** The error of a command as Redis words it, and as it would be logged. */
  async function failure(...args: (string | Buffer)[]): Promise<{ raw: string; logged: ReplyError }> {
    const cause: Error = await client.sendCommand(args).then(
      () => expect.unreachable('the command should have failed'),
      (error: Error) => error,
    );
    const error = new ReplyError(cause.message, { cause });
    const logged = redactError(error, redactCommand(args), args) as ReplyError;
    expect(logged).toBeInstanceOf(ReplyError);
    expect(logged.replyCode).toBe(error.replyCode);
    expect(logged.cause).toBeUndefined();
    expect(`${logged.stack}`).not.toContain(SECRET);
    return { raw: cause.message, logged };
  }

  it.each([
    ['an unknown command', ['NOSUCH', SECRET, 'other']],
    ['an unknown command whose argument Redis cuts', ['NOSUCH', 'x'.repeat(120), SECRET]],
    ['an ACL rule', ['ACL', 'SETUSER', 'joe', SECRET]],
    ['a script that returns its argument', ['EVAL', 'return redis.error_reply(ARGV[1])', '0', SECRET]],
    ['a script that throws a part of it', ['EVAL', 'error(string.sub(ARGV[1], 1, 7))', '0', `${SECRET}-and-more`]],
    ['a script that does not compile', ['EVAL', `return "a" ${SECRET}`, '0']],
    ['a command that a script calls', ['EVAL', 'return redis.call("INCR", KEYS[1])', '1', 'text', SECRET]],
    ['a parameter', ['CONFIG', 'SET', 'maxmemory', SECRET]],
  ])('%s does not show it', async (_, args) => {
    await client.set('text', 'not a number');
    const { logged } = await failure(...args);
    expect(logged.message).not.toContain(SECRET.slice(0, 4));
    expect(logged.message).not.toMatch(/x{10}/);
  });

  it('stays readable where nothing hidden is quoted', async () => {
    await client.lPush('list', 'a');
    expect((await failure('APPEND', 'list', 'e')).logged.message).toMatch(/^WRONGTYPE Operation against a key/);
    expect((await failure('SET', 'k', SECRET, 'EX', 'ten')).logged.message).toBe(
      'ERR value is not an integer or out of range',
    );
    expect((await failure('EVALSHA', 'f'.repeat(40), '0', SECRET)).logged.message).toMatch(
      /^NOSCRIPT No matching script/,
    );
    const { raw, logged } = await failure('GET');
    expect(logged.message).toBe(raw);
  });
});

describe('other errors', () => {
  it('are handed on as they are: Lagoon words them itself', () => {
    const error = new ConnectionError('The connection to pool "a" was lost', true);
    expect(redactError(error, redactCommand(['SET', 'k', SECRET]), ['SET', 'k', SECRET])).toBe(error);
  });

  it('keep their name alone if they are not ours: a parser quotes what it cannot read', () => {
    const args = ['JSON.GET', 'key'];
    let error = new Error();
    try {
      JSON.parse(SECRET);
    } catch (thrown) {
      error = thrown as Error;
    }
    expect(error.message).toContain(SECRET.slice(0, 1));
    expect(String(redactError(error, redactCommand(args), args))).toBe(
      'SyntaxError: (text not shown: it may quote a value)',
    );
  });

  it('never tell a command of a transaction that was refused by its EXEC', () => {
    const error = new ReplyError(`ERR unknown command 'X', with args beginning with: '${SECRET}' `);
    expect(redactError(error, redactCommand(['EXEC']), ['EXEC']).message).toBe(
      "ERR unknown command 'X', with args beginning with: ?",
    );
  });

  it('hide an argument beyond those that are listed', () => {
    const args = ['MGET', ...Array.from({ length: 50 }, (_, i) => `key-${i}`), SECRET];
    expect(redactError(new ReplyError(`ERR no ${SECRET} here`), redactCommand(args), args).message).not.toContain(
      SECRET,
    );
  });

  it('recognise an argument that Redis has cut', () => {
    const args = ['SET', 'k', `${SECRET}-${'x'.repeat(500)}`];
    const error = new ReplyError(`ERR cannot use '${args[2]?.slice(0, 100)}'`);
    expect(redactError(error, redactCommand(args), args).message).not.toContain(SECRET);
  });

  it('recognise a binary and a very short argument', () => {
    for (const arg of [Buffer.from(SECRET), 'e', '7']) {
      const error = new ReplyError(`ERR cannot use '${arg.toString()}'`);
      expect(redactError(error, redactCommand(['SET', 'k', arg]), ['SET', 'k', arg]).message).toBe(
        "ERR cannot use '?'",
      );
    }
  });
});
