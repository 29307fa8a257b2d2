import { inspect } from 'node:util';
import { InvalidArgumentError } from './errors.js';

/** The units of a {@link Duration} string: milliseconds, seconds, minutes, hours, days. */
export type DurationUnit = 'ms' | 's' | 'm' | 'h' | 'd';

/** A length of time: a whole number of milliseconds, or a string such as `'250ms'`, `'10s'`, `'1m'`, `'2h'`, `'1d'`. */
export type Duration = number | `${number}${DurationUnit}`;

const UNIT_MS: Record<DurationUnit, number> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 };
const FORM = /^(\d+(?:\.\d+)?)(ms|s|m|h|d)$/;

/**
 * Milliseconds of a duration that must be positive.
 *
 * @param name what the duration is for, as the caller knows it; it opens the error's message.
 * @throws {InvalidArgumentError} if it is zero, negative, not a number, not a whole number of ms, or not a duration at all.
 */
export function positiveMs(duration: Duration, name: string): number {
  const ms = parse(duration);
  if (ms === undefined || ms <= 0) throw invalid(duration, name, 'greater than 0');
  return ms;
}

/** Milliseconds of a duration that may be zero; otherwise as {@link positiveMs}. */
export function nonNegativeMs(duration: Duration, name: string): number {
  const ms = parse(duration);
  if (ms === undefined || ms < 0) throw invalid(duration, name, '0 or more');
  return ms;
}

/**
 * How long in ms to set a timer for that is to end at a time of `performance.now()`. It may end before: timers go by a coarse
 * clock, which is some ms behind on a busy machine. Who sets it looks at the time and sets it again.
 */
export function timerMs(at: number): number {
  return Math.ceil(Math.max(0, at - performance.now()));
}

function parse(duration: Duration): number | undefined {
  const ms = typeof duration === 'string' ? parseText(duration) : duration;
  return Number.isSafeInteger(ms) ? ms : undefined;
}

function parseText(text: string): number | undefined {
  const match = FORM.exec(text);
  if (!match) return undefined;
  // 1.1 * 60_000 is 66000.00000000001: round what only the binary fraction is to blame for.
  const exact = Number(match[1]) * UNIT_MS[match[2] as DurationUnit];
  const rounded = Math.round(exact);
  return Math.abs(exact - rounded) <= 1e-9 * Math.max(1, rounded) ? rounded : undefined;
}

function invalid(duration: unknown, name: string, range: string): InvalidArgumentError {
  const shown = typeof duration === 'string' ? JSON.stringify(duration) : inspect(duration, { depth: 0 });
  return new InvalidArgumentError(
    `${name} must be a duration ${range} (whole milliseconds, or a string such as '250ms', '10s', '1m', '2h', '1d'), got ${shown}`,
  );
}
