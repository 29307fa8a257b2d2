import { readFile, writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';

const PAGE = fileURLToPath(new URL('../../docs/performance.md', import.meta.url));

/**
 * Puts a suite's tables between its two marks in the page, so that the page never says what was not measured.
 *
 * @param {string} name of the suite
 * @param {Awaited<ReturnType<typeof import('./results.mjs').machineFacts>>} machine
 * @param {import('./table.mjs').Table[]} tables
 */
export async function updateDocs(name, machine, tables) {
  const page = await readFile(PAGE, 'utf8');
  const [begin, end] = [`<!-- bench:${name} -->\n`, `<!-- /bench:${name} -->`];
  const from = page.indexOf(begin) + begin.length;
  const to = page.indexOf(end);
  if (from < begin.length || to < from) throw new Error(`docs/performance.md has no place for ${name}: ${begin}${end}`);
  const { date, node, redisServer, platform, cpus } = machine;
  const where = `Measured on ${date}: Node.js ${node}, Redis ${redisServer}, ${platform}, ${cpus} CPUs.`;
  const text = [...tables.map(markdown), where].join('\n\n');
  await writeFile(PAGE, `${page.slice(0, from)}\n${text}\n\n${page.slice(to)}`);
}

/** @param {import('./table.mjs').Table} table */
function markdown({ caption, columns, rows }) {
  const line = (cells) => `| ${cells.join(' | ')} |`;
  const rule = line(columns.map((_, i) => (i === 0 ? '---' : '---:')));
  return [`${caption}:`, '', line(columns), rule, ...rows.map(line)].join('\n');
}
