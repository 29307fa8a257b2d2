import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';

const root = fileURLToPath(new URL('../..', import.meta.url));
const pages = [
  ...readdirSync(root).filter((name) => name.endsWith('.md')),
  ...readdirSync(join(root, 'docs')).map((name) => join('docs', name)),
].filter((name) => name.endsWith('.md'));

/** `<!-- examples/name.ts -->` and the block of code that follows it. */
const SHOWN = /<!-- (examples\/\S+) -->\n```\w*\n([\s\S]*?)```/g;

describe.each(pages)('%s', (page) => {
  const text = readFileSync(join(root, page), 'utf8');

  test('shows the examples as they are', () => {
    const announced = text.match(/<!-- examples\//g)?.length ?? 0;
    const shown = [...text.matchAll(SHOWN)];
    expect(shown).toHaveLength(announced);
    for (const [, file = '', code] of shown) expect(code).toBe(readFileSync(join(root, file), 'utf8'));
  });

  test('links to files that exist', () => {
    const links = [...text.matchAll(/\]\((?!\w+:|#)([^)#\s]+)/g)].map(([, link = '']) => link);
    expect(links.filter((link) => !existsSync(join(root, page, '..', link)))).toEqual([]);
  });
});
