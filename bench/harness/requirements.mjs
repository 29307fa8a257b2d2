/** @typedef {{ what: string, value: number, required: string, met: boolean }} Requirement */

/** @returns {Requirement} */
export function atLeast(limit, value, what) {
  return { what, value, required: `>= ${limit}`, met: value >= limit };
}

/** @returns {Requirement} */
export function atMost(limit, value, what) {
  return { what, value, required: `<= ${limit}`, met: value <= limit };
}
