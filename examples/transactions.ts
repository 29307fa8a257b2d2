// Several commands as one: MULTI, a pipeline, and a transaction that is tried again when a watched key changes.
import { Registry, TransactionConflictError, TransactionError } from 'lagoon';
import { redisForExample } from './support/redis.js';

const server = await redisForExample();
const engine = new Registry()
  .registerRedis(server.address, 0, 'default', { keyPrefix: 'transactions-example:' })
  .validate();
const redis = engine.getRedis();

try {
  // multi(): all or nothing in between, one round trip, one typed reply per command.
  const [, visits, page] = await redis.multi().set('page', 'home').incr('visits').get('page').execTyped();
  console.log({ visits, page });

  // Redis does not roll back: the others took effect, and the error has every reply.
  const failed = await redis
    .multi()
    .set('page', 'about')
    .incr('page')
    .exec()
    .catch((error: unknown) => error);
  if (failed instanceof TransactionError) console.log(failed.message, failed.errorIndexes);

  // execAsPipeline(): one round trip as well, but others may come in between.
  console.log(await redis.multi().get('page').strLen('page').execAsPipeline());

  // transaction(): read, decide, write. Nobody can have changed a watched key in between.
  await redis.set('stock', '10');
  const take = (amount: number) =>
    redis.transaction(
      async (own) => {
        const stock = Number(await own.get('stock'));
        if (stock < amount) return false;
        await own
          .multi()
          .set('stock', String(stock - amount))
          .exec();
        return true;
      },
      { watch: 'stock', retries: 20 },
    );
  const taken = await Promise.all([take(3), take(3), take(3), take(3)]);
  console.log('taken:', taken.filter(Boolean).length, 'left:', await redis.get('stock'));

  // What is changed at every attempt is an error in the end.
  const conflict = await redis
    .transaction(
      async (own) => {
        await redis.incr('busy');
        return own.multi().get('busy').exec();
      },
      { watch: 'busy', retries: 2 },
    )
    .catch((error: unknown) => error);
  if (conflict instanceof TransactionConflictError) console.log(conflict.message);
} finally {
  await redis.del(['page', 'visits', 'stock', 'busy']);
  await engine.close();
  await server.close();
}
