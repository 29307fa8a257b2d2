import { randomInt } from 'node:crypto';
import { type Duration, positiveMs } from '../../src/duration.js';

/** `npm run test:soak` sets how long the experiments last; `npm test` has time for a look only. */
const asked = process.env.SOAK_DURATION as Duration | undefined;

export const SOAK = asked !== undefined;
export const LENGTH_MS = asked === undefined ? 8_000 : positiveMs(asked, 'SOAK_DURATION');
/** Longer than the experiment by what starting and ending it takes. */
export const TIMEOUT_MS = LENGTH_MS + 60_000;
/** Decides what is done, in which order; printed, so that it can be set to do it again. */
export const SEED = Number(process.env.SOAK_SEED ?? randomInt(2 ** 31));
