// A Sentinel group for a test: the master is killed, and the sentinels make a master of one of its replicas.
import { startSentinel } from 'lagoon/testing';
import { createSentinel } from 'redis';

const group = await startSentinel({ replicas: 2, sentinels: 3 });
const sentinelRootNodes = group.sentinelServers.map(({ host, port }) => ({ host, port }));
const client = createSentinel({ name: group.name, sentinelRootNodes }).on('error', () => {});
await client.connect();

try {
  const first = await group.master();
  await client.use(async (master) => {
    await master.set('greeting', 'hello');
    await master.wait(2, 0); // for both replicas: what they do not have yet, a failover loses
  });

  // A crash: kill -9. settled() waits until the survivors are in order again, with a master among them.
  await first.kill();
  await group.settled();
  const second = await group.master();
  console.log('another master:', second !== first);
  console.log('the client finds it:', await client.get('greeting'));

  // The old master comes back, as a replica.
  await first.restart();
  await group.settled();
  console.log('replicas:', (await group.replicas()).length);

  // A failover that nothing made necessary, as an operator has it done before an upgrade.
  const third = await group.failover();
  console.log('and another one:', third !== second);
  console.log('it takes writes:', await client.set('greeting', 'hello again'));
} finally {
  client.destroy();
  await group.stop();
}
