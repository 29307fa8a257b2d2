import createDebug from 'debug';
import { afterEach, describe, expect, it } from 'vitest';
import { type LogSubject, log } from '../../src/observe/debug.js';

afterEach(() => void createDebug.disable());

describe('the debug loggers', () => {
  const subjects: LogSubject[] = ['pool', 'connection', 'command', 'observe', 'lock', 'limit', 'cache'];

  it.each(subjects)('lagoon:%s is switched on by its namespace alone, at any time', (subject) => {
    expect(log[subject].enabled).toBeFalsy();
    createDebug.enable(`lagoon:${subject}`);
    expect(subjects.filter((other) => log[other].enabled)).toEqual([subject]);
    createDebug.enable('lagoon:*');
    expect(subjects.every((other) => log[other].enabled)).toBe(true);
  });

  it('are made once each', () => {
    expect(log.pool).toBe(log.pool);
    expect(Object.keys(log).sort()).toEqual([...subjects].sort());
  });
});
