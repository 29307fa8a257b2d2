import type { RedisPool } from '../../../src/index.js';
import { RealWorld } from './real.js';
import { applies, apply, type Claim, type Operation, type State, start } from './reference.js';

interface Way {
  readonly operation: Operation;
  readonly to: Place;
}

/** A state of the reference: how to get there in the fewest steps, where to go from there, and what was not tried yet. */
interface Place {
  readonly path: readonly Operation[];
  readonly ways: Way[];
  readonly untried: Way[];
}

/**
 * Does everything that can be done, in every state that can be reached by it, once at least, in a real Redis; each pool is
 * a database of its own, and they work at the same time, but for one, on which a failure is tried again.
 */
export async function explore(
  pools: readonly [RedisPool, ...RedisPool[]],
  keys: readonly string[],
  claims: readonly Claim[],
): Promise<{ states: number; steps: number }> {
  const [spare, ...working] = pools;
  const processes = 1 + Math.max(...claims.map(({ process }) => process));
  const places = allPlaces(start(keys, processes), alphabet(keys, claims));
  const first = places[0] as Place;
  let steps = 0;
  let failed = false;
  const work = async (pool: RedisPool) => {
    for (let ways = wayToUntried(first); ways && !failed; ways = wayToUntried(first)) {
      const done: Operation[] = [];
      let at = first;
      try {
        await RealWorld.in(pool, keys, processes, async (world) => {
          for (; ways && !failed; ways = wayToUntried(at)) {
            for (const { operation, to } of ways) {
              done.push(operation);
              await world.step(operation);
              steps++;
              at = to;
            }
          }
        });
      } catch (error) {
        // One failure is enough, and the spare database is for one.
        if (failed) return;
        failed = true;
        throw await shortest(error as Error, [[...at.path, done.at(-1) as Operation], done]);
      }
    }
  };
  // Whether a short way leads to the same failure, or only the one that was taken.
  const shortest = async (error: Error, ways: readonly (readonly Operation[])[]): Promise<Error> => {
    for (const way of ways) {
      const again = await RealWorld.in(spare, keys, processes, async (world) => {
        for (const operation of way) await world.step(operation);
      }).catch((failure: Error) => failure);
      if (again) return new Error(`${again.message}\nafter:\n  ${way.map(describe).join('\n  ')}`, { cause: again });
    }
    return error;
  };
  await Promise.all(working.map(work));
  return { states: places.length, steps };
}

function alphabet(keys: readonly string[], claims: readonly Claim[]): Operation[] {
  const processes = new Set(claims.map(({ process }) => process));
  const does = ['wait again', 'release', 'leave', 'leave or keep', 'expire'] as const;
  return [
    ...claims.flatMap(({ id }) => does.map((what): Operation => ({ does: what, id }))),
    ...[...processes].flatMap((process): Operation[] => [
      { does: 'lose subscription', process },
      { does: 'subscribe', process },
    ]),
    ...(claims.some(({ kind }) => kind === 'x') ? keys : []).map((key): Operation => ({ does: 'intrude', key })),
    ...keys.map((key): Operation => ({ does: 'delete', key })),
    // Last, because there is no way back from them: whoever has asked has asked.
    ...claims.flatMap((claim): Operation[] => [
      { does: 'obtain', claim },
      { does: 'wait', claim },
    ]),
  ];
}

function allPlaces(first: State, operations: readonly Operation[]): Place[] {
  const places = new Map<string, Place>();
  const frontier: State[] = [];
  const placeOf = (state: State, path: () => Operation[]) => {
    const name = nameOf(state);
    const known = places.get(name);
    if (known) return known;
    const place = { path: path(), ways: [], untried: [] };
    places.set(name, place);
    frontier.push(state);
    return place;
  };
  placeOf(first, () => []);
  for (let state = frontier.shift(); state; state = frontier.shift()) {
    const place = places.get(nameOf(state)) as Place;
    for (const operation of operations) {
      if (!applies(state, operation)) continue;
      const to = placeOf(apply(state, operation).state, () => [...place.path, operation]);
      place.ways.push({ operation, to });
      place.untried.push({ operation, to });
    }
  }
  return [...places.values()];
}

/** The shortest way to something that was not tried yet, that included; it counts as tried from now on. */
function wayToUntried(from: Place): Way[] | undefined {
  const seen = new Set([from]);
  let frontier: { place: Place; ways: Way[] }[] = [{ place: from, ways: [] }];
  while (frontier.length > 0) {
    const next: typeof frontier = [];
    for (const { place, ways } of frontier) {
      const untried = place.untried.shift();
      if (untried) return [...ways, untried];
      for (const way of place.ways) {
        if (seen.has(way.to)) continue;
        seen.add(way.to);
        next.push({ place: way.to, ways: [...ways, way] });
      }
    }
    frontier = next;
  }
  return undefined;
}

/** The order among holders cannot be seen, and who is over differs from who never asked only in that it did. */
function nameOf({ holders, queues, reachable, claims }: State): string {
  const held = Object.entries(holders).map(([key, ids]) => [key, [...ids].sort()]);
  return JSON.stringify([held, queues, reachable, Object.keys(claims).sort()]);
}

function describe(operation: Operation): string {
  if (!('claim' in operation)) return Object.values(operation).join(' ');
  const { id, process, kind, keys } = operation.claim;
  return `${operation.does}: ${id} of process ${process}, ${kind} on ${keys.join(' and ')}`;
}
