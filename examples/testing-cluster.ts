// A cluster for a test: a slot on its way from one master to another, a failover, one node more and one less.
import { startCluster } from 'lagoon/testing';
import { createCluster } from 'redis';

const cluster = await startCluster({ masters: 3, replicasPerMaster: 1 });
const client = createCluster({ rootNodes: cluster.nodes.map(({ url }) => ({ url })) }).on('error', () => {});
await client.connect();

try {
  await client.set('greeting', 'hello');
  const owner = await cluster.nodeOf('greeting');
  const other = (await cluster.masters()).find((master) => master !== owner);
  if (!other) throw new Error('there is one master only');

  // Held in the middle: the key has left, the slot is not handed over yet.
  const move = await cluster.startMovingSlot('greeting', other);
  await move.moveKeys();
  const answer = await owner.cli('GET', 'greeting').catch((error: Error) => error.message.split(' ')[0]);
  console.log('the old node answers:', answer);
  console.log('the client follows:', await client.get('greeting'));
  await move.finish();
  console.log('afterwards:', await client.get('greeting'));

  // A replica takes over. Had the master been killed, the other masters would have seen to it after a second or two.
  const successor = await cluster.failover(other);
  console.log('another master has it:', (await cluster.nodeOf('greeting')) === successor);

  // A new master, with one slot so far. When it goes, its slots and keys go to the others.
  const added = await cluster.addNode();
  await cluster.moveSlot('greeting', added);
  console.log('masters:', (await cluster.masters()).length);
  await cluster.removeNode(added);
  console.log('masters:', (await cluster.masters()).length);
  console.log('still there:', await client.get('greeting'));
} finally {
  client.destroy();
  await cluster.stop();
}
