import { expect, test } from 'vitest';
import { eventually } from '../support/eventually.js';
import type { Site } from './site.js';

/** Subscriptions of all kinds. Channels are not prefixed. */
export function pubSub(site: Site): void {
  test('channels: what any process publishes, in its order', async () => {
    const { redis, elsewhere } = site;
    const channel = site.key('channel');
    const heard: string[] = [];
    await using _ = await redis.subscribe([channel, `${channel}:more`], (message, of) =>
      heard.push(`${of} ${message}`),
    );
    for (const n of [1, 2, 3]) await elsewhere.publish(channel, String(n));
    await redis.publish(`${channel}:more`, '4');
    await elsewhere.publish(`${channel}:none`, '5');
    await eventually(() => heard.length === 4);
    expect(heard.filter((line) => line.startsWith(`${channel} `))).toEqual([1, 2, 3].map((n) => `${channel} ${n}`));
    expect(heard).toContain(`${channel}:more 4`);
  });

  test('patterns', async () => {
    const channel = site.key('pattern');
    const heard: string[] = [];
    await using _ = await site.redis.pSubscribe(`${channel}:*`, (message, of) => heard.push(`${of} ${message}`));
    await site.elsewhere.publish(`${channel}:news`, 'hello');
    await eventually(() => heard.length === 1);
    expect(heard).toEqual([`${channel}:news hello`]);
  });

  test('sharded channels, on whichever server they are', async () => {
    const channels = site.keys(10, 'shard');
    const heard: string[] = [];
    const subscriptions = await Promise.all(
      channels.map((channel) => site.redis.sSubscribe(channel, (message) => heard.push(message))),
    );
    await Promise.all(channels.map((channel) => site.elsewhere.sPublish(channel, channel)));
    await eventually(() => heard.length === channels.length);
    expect(heard.sort()).toEqual([...channels].sort());
    await Promise.all(subscriptions.map((subscription) => subscription.unsubscribe()));
    expect(await site.elsewhere.sPublish(channels[0] as string, 'nobody')).toBe(0);
  });

  test('subscriptions of one channel are independent; Buffers if asked for', async () => {
    const { redis } = site;
    const channel = site.key('channel');
    const bytes = Buffer.from([0, 255, 13, 10]);
    const first: string[] = [];
    const second: Buffer[] = [];
    const subscription = await redis.subscribe(channel, (message) => first.push(message));
    await using _ = await redis.subscribe(channel, (message) => second.push(message), { buffers: true });
    await redis.publish(channel, 'both');
    await eventually(() => first.length === 1 && second.length === 1);
    await subscription.unsubscribe();
    await redis.publish(channel, bytes);
    await eventually(() => second.length === 2);
    expect(first).toEqual(['both']);
    expect(second).toEqual([Buffer.from('both'), bytes]);
  });
}
