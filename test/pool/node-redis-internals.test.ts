import { EventEmitter } from 'node:events';
import { createClient } from 'redis';
import { afterAll, describe, expect, test } from 'vitest';

describe('what src/pool/queue-link.ts relies on inside node-redis', () => {
  const client = createClient();
  afterAll(() => client.destroy());
  const upgraded = (name: string) =>
    `node-redis has no ${name}() any more: src/pool/queue-link.ts hands commands over through it. Read how the new version queues commands before the range of "redis" in package.json is widened.`;

  test.each(['_getQueue', '_insertSocket'] as const)('the client has %s', (name) => {
    expect(client[name], upgraded(name)).toBeTypeOf('function');
  });

  test.each([
    'addCommand',
    'prependCommandsToWrite',
    'extractAllCommands',
    'isWaitingToWrite',
    'commandsToWrite',
  ] as const)('its command queue has %s', (name) => {
    expect(client._getQueue()[name], upgraded(name)).toBeTypeOf('function');
  });

  test('the client takes another socket for its own: reads from it, and asks it how it is', async () => {
    const own = createClient();
    const socket = Object.assign(new EventEmitter(), {
      isOpen: true,
      isReady: true,
      write: (chunks: Iterable<readonly string[]>) => written.push(...[...chunks].flat()),
      destroy: () => socket.emit('end'),
    });
    const written: string[] = [];
    own._insertSocket(socket as never);
    expect([own.isOpen, own.isReady]).toEqual([true, true]);
    const answer = own.sendCommand(['PING']);
    await new Promise((resolve) => setImmediate(resolve));
    expect(written.join('')).toBe('*1\r\n$4\r\nPING\r\n');
    socket.emit('data', Buffer.from('+PONG\r\n'));
    expect(await answer).toBe('PONG');
    const ended = new Promise<void>((resolve) => void own.on('end', resolve));
    own.destroy();
    await ended;
  });

  test('the queue keeps, gives back and writes the very objects it is handed, and drops the rejected', () => {
    const queue = createClient()._getQueue();
    const element = (...args: string[]) => ({ args, rejected: false, resolve() {}, reject() {} });
    const elements = [element('GET', 'a'), element('GET', 'b')];
    queue.prependCommandsToWrite(elements as never);
    expect(queue.isWaitingToWrite()).toBe(true);
    expect(queue.extractAllCommands()).toEqual(elements);
    expect(queue.isWaitingToWrite()).toBe(false);

    const [first, second] = elements as [(typeof elements)[0], (typeof elements)[0]];
    first.rejected = true;
    queue.prependCommandsToWrite(elements as never);
    expect([...queue.commandsToWrite()].flat().join('')).toBe('*2\r\n$3\r\nGET\r\n$1\r\nb\r\n');
    // `args` is how a PendingCommand knows that it was written.
    expect([first.args, second.args]).toEqual([['GET', 'a'], undefined]);
  });
});
