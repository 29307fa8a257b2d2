import { isFree } from '../../src/testing/free-port.js';

/** The first of so many free ports in a row; `pick` gives one that is free, and `offsets` are ports that must be free beside each. */
export async function freePorts(count: number, pick: () => Promise<number>, offsets = [0]): Promise<number> {
  for (;;) {
    const first = await pick();
    const others = Array.from({ length: count - 1 }, (_, i) => offsets.map((offset) => first + i + 1 + offset)).flat();
    if ((await Promise.all(others.map(isFree))).every(Boolean)) return first;
  }
}
