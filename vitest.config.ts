import { availableParallelism } from 'node:os';
import { defineConfig } from 'vitest/config';
import { BaseSequencer, type TestSpecification } from 'vitest/node';

/** What takes long, mostly waiting for servers to agree. */
const LONG = /\/test\/(package|topology|testing|lock-proof|features|lock\/(failover|cluster)\b)/;

/** Begins with what takes long, so that at the end nobody waits for one file. */
class LongFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const sorted = await super.sort(files);
    const isLong = ({ moduleId }: TestSpecification) => LONG.test(moduleId);
    return [...sorted.filter(isLong), ...sorted.filter((file) => !isLong(file))];
  }
}

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    globalSetup: 'test/support/global-setup.ts',
    // Every file has servers and processes of its own, so that a file's leftovers cannot reach another's.
    pool: 'forks',
    // Most of a test is waiting for time to pass; what tests look at the clock for must not fail for want of a core.
    maxWorkers: Math.max(2, Math.min(3, availableParallelism() - 1)),
    sequence: { sequencer: LongFirst },
    testTimeout: 30_000,
    hookTimeout: 30_000,
    typecheck: { enabled: true, include: ['test/types/*.test-d.ts'], tsconfig: 'tsconfig.json' },
  },
});
