type Work = () => void;

/** What is to be done, in its order. */
const stages = { gather: [] as Work[], send: [] as Work[], write: [] as Work[] };
const inOrder = Object.values(stages);
let scheduled = false;

/**
 * Calls `work` at the end of this turn of the event loop: what sends comes behind all that gathers what is to be sent, and
 * what writes behind all that sends. One tick for all: a tick each would cost more than most of what is done in it.
 *
 * @param work never throws, and adds none of a stage before its own.
 */
export function atEndOfTurn(stage: keyof typeof stages, work: Work): void {
  if (!scheduled) {
    scheduled = true;
    process.nextTick(endTurn);
  }
  stages[stage].push(work);
}

function endTurn(): void {
  for (const works of inOrder) {
    // They grow meanwhile.
    for (const work of works) work();
    works.length = 0;
  }
  scheduled = false;
}
