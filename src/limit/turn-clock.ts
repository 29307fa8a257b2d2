/** So many looks at most before the clock is read again: a turn may be long. */
const LOOKS = 32;

let now = 0;
let left = 0;
let open = false;

/**
 * `performance.now()` as it was when this turn of the event loop asked first, or some calls ago if it asks often: in a flood,
 * reading the clock would be most of the work.
 */
export function turnNow(): number {
  if (left > 0) {
    left--;
    return now;
  }
  now = performance.now();
  left = LOOKS - 1;
  if (!open) {
    open = true;
    process.nextTick(endTurn);
  }
  return now;
}

function endTurn(): void {
  open = false;
  left = 0;
}
