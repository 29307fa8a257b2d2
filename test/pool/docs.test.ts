import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { COMMAND_TABLE, type Rule } from '../../src/pool/command-table.js';

const read = (path: string) => readFileSync(new URL(`../../${path}`, import.meta.url), 'utf8');

describe('docs/commands.md', () => {
  const page = read('docs/commands.md');

  /** The table under `<!-- name -->`: of each command, what stands in the second column. */
  function table(name: string): Record<string, string> {
    const [, rows = ''] = new RegExp(`<!-- ${name} -->\\n(?:\\|.*\\n){2}((?:\\|.*\\n)+)`).exec(page) ?? [];
    return Object.fromEntries(
      rows
        .trim()
        .split('\n')
        .flatMap((row) => {
          const [, commands = '', text = ''] = row.split('|').map((cell) => cell.trim());
          return [...commands.matchAll(/`([^`]+)`/g)].map(([, command = '']) => [command, text]);
        }),
    );
  }
  const rules = (kind: Rule['kind']) => Object.entries(COMMAND_TABLE).filter(([, rule]) => rule.kind === kind);
  const reasons = (kind: Rule['kind']) =>
    Object.fromEntries(rules(kind).map(([name, rule]) => [name, 'why' in rule ? rule.why : '']));

  test('lists every refused command with its reason', () => {
    expect(table('refused')).toEqual(reasons('refused'));
  });

  test('lists every command that only an isolated connection has, with its reason', () => {
    expect(table('isolated')).toEqual(reasons('isolated'));
  });

  test('lists every known command that is not trusted on a shared connection, with its reason', () => {
    expect(table('untrusted')).toEqual(reasons('untrusted'));
  });

  test('lists every blocking command, and which block only with an option', () => {
    const listed = table('blocking');
    expect(Object.keys(listed).sort()).toEqual(
      rules('blocking')
        .map(([name]) => name)
        .sort(),
    );
    for (const [name, rule] of rules('blocking')) {
      const line = [name, 'STREAMS', '1', '1', '1', '1'];
      const always = rule.kind === 'blocking' && rule.blockMs(line) !== undefined;
      expect([name, listed[name] === 'always']).toEqual([name, always]);
    }
  });

  test('shows code that is in the examples, indented or not', () => {
    const flat = (code: string) => code.trim().replace(/\s+/g, ' ').replace(/;$/, '');
    const shown = [...page.matchAll(/<!-- from (\S+) -->\n```ts\n([\s\S]*?)```/g)];
    expect(shown.length).toBe(page.match(/```ts/g)?.length);
    for (const [, file = '', code = ''] of shown) expect(flat(read(file))).toContain(flat(code));
  });
});
