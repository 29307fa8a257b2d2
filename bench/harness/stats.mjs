/** @param {readonly number[]} values */
export function median(values) {
  return quantile(Float64Array.from(values).sort(), 0.5);
}

/**
 * The value below which a share of all values lies, interpolated.
 *
 * @param {Float64Array} sorted ascending
 * @param {number} share from 0 to 1
 */
export function quantile(sorted, share) {
  const position = (sorted.length - 1) * share;
  const below = Math.floor(position);
  const above = Math.ceil(position);
  return sorted[below] + (sorted[above] - sorted[below]) * (position - below);
}

/**
 * The median of the ratios of each round. Two contestants of one round ran at nearly the same time, so what else the
 * machine did slowed both; the ratio of two medians would compare different moments.
 *
 * @param {readonly number[]} values one per round
 * @param {readonly number[]} base one per round
 */
export function medianRatio(values, base) {
  return median(values.map((value, round) => value / base[round]));
}
