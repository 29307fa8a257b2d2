/**
 * Lets every contestant have one turn per round, so that what disturbs the machine disturbs all alike, in another order
 * each round, so that nobody always pays for the garbage of the same one. One round goes first and is not counted.
 *
 * @template T
 * @param {Record<string, () => Promise<T>>} contestants
 * @param {number} rounds
 * @returns {Promise<Record<string, T[]>>} what each returned, one per round
 */
export async function interleave(contestants, rounds) {
  const names = Object.keys(contestants);
  const results = Object.fromEntries(names.map((name) => [name, /** @type {T[]} */ ([])]));
  for (let round = -1; round < rounds; round++) {
    for (const name of shuffled(names)) {
      const result = await contestants[name]();
      if (round >= 0) results[name].push(result);
    }
  }
  return results;
}

/** @param {readonly string[]} names */
function shuffled(names) {
  const order = [...names];
  for (let i = order.length - 1; i > 0; i--) {
    const j = Math.floor(Math.random() * (i + 1));
    [order[i], order[j]] = [order[j], order[i]];
  }
  return order;
}
