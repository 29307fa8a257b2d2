type Work = () => void;

const gathering: Work[] = [];
const sending: Work[] = [];

/**
 * Calls `work` at the end of this turn of the event loop. What sends comes behind all that gathers what is to be sent, and
 * ahead of the write that ends the turn. One tick for all: a tick each would cost more than most of what is done in it.
 *
 * @param work never throws.
 */
export function atEndOfTurn(what: 'gather' | 'send', work: Work): void {
  if (gathering.length === 0 && sending.length === 0) process.nextTick(endTurn);
  (what === 'gather' ? gathering : sending).push(work);
}

function endTurn(): void {
  // They grow meanwhile.
  for (const work of gathering) work();
  for (const work of sending) work();
  gathering.length = 0;
  sending.length = 0;
}
