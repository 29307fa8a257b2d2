/** @typedef {{ caption: string, columns: string[], rows: string[][] }} Table */

/** The first column to the left, numbers to the right. @param {Table} table */
export function formatTable({ caption, columns, rows }) {
  const lines = [columns, ...rows];
  const widths = columns.map((_, i) => Math.max(...lines.map((line) => line[i].length)));
  const format = (line) =>
    line.map((cell, i) => (i === 0 ? cell.padEnd(widths[i]) : cell.padStart(widths[i] + 2))).join('');
  const rule = '-'.repeat(widths.reduce((sum, width) => sum + width + 2, -2));
  return [caption, format(columns), rule, ...rows.map(format)].join('\n');
}

export const count = (value) => Math.round(value).toLocaleString('en-US');
export const thousands = (value) => (value < 100_000 ? (value / 1000).toFixed(1) : count(value / 1000));
export const ratio = (value) => value.toFixed(2);
export const milliseconds = (value) => value.toFixed(value < 1 ? 3 : 2);
