import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll } from 'vitest';
import { ConfigError, type ConfigIssue } from '../../src/errors.js';

/** The ConfigError that `work` ends with, or nothing if it succeeds; any other error is passed on. */
export function configErrorOf(work: () => unknown): ConfigError | undefined {
  try {
    work();
    return undefined;
  } catch (error) {
    if (error instanceof ConfigError) return error;
    throw error;
  }
}

/** What is wrong with the configuration that `work` checks. */
export function issuesOf(work: () => unknown): readonly ConfigIssue[] {
  return configErrorOf(work)?.issues ?? [];
}

/** Writes files to a folder of this test file's own, gone afterwards. */
export function temporaryFiles(): { path(name: string): string; write(name: string, text: string): string } {
  let folder = '';
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'lagoon-config-'));
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  const path = (name: string) => join(folder, name);
  return {
    path,
    write(name, text) {
      writeFileSync(path(name), text);
      return path(name);
    },
  };
}
