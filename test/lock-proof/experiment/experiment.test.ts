import { writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { LENGTH_MS, SEED, TIMEOUT_MS } from '../soak.js';
import { check } from './check.js';
import { ALLOWANCES, experiment } from './experiment.js';

test('the locks keep what they promise while everything around them fails', { timeout: TIMEOUT_MS }, async () => {
  const { history, accidents } = await experiment(SEED, LENGTH_MS);
  const { attempts, faults, store } = history;
  const count = (outcome: string) => attempts.filter((attempt) => attempt.outcome === outcome).length;
  console.log(
    `seed ${SEED}: ${faults.length} faults; ${count('granted')} locks granted, ${count('null')} not in time, ` +
      `${count('error')} errors; ${store.filter(({ accepted }) => !accepted).length} of ${store.length} accesses refused`,
  );
  const violations = check(history, ALLOWANCES);
  if (violations.length > 0) {
    const file = join(tmpdir(), `lagoon-history-${SEED}.json`);
    writeFileSync(file, JSON.stringify({ violations, ...history }, undefined, 1));
    console.log(`the history is in ${file}`);
  }
  expect(violations).toEqual([]);
  expect(accidents).toEqual([]);
  // Or nothing was proved.
  expect(count('granted')).toBeGreaterThan(LENGTH_MS / 200);
  expect(attempts.filter(({ queuedAt, outcome }) => queuedAt && outcome === 'granted').length).toBeGreaterThan(10);
});
