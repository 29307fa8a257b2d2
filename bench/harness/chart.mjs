import { LIMIT } from '../suites/commands.mjs';
import { AUTO, BARE, DEFAULTS, LAGOON, POOL } from './clients.mjs';
import { count } from './table.mjs';

/** What the chart shows: a panel per cell, a bar per client, all with the same order. */
const PANELS = [
  { command: 'GET', size: '16 B', inFlight: 1 },
  { command: 'GET', size: '16 B', inFlight: 100 },
  { command: 'GET', size: '16 B', inFlight: 1000 },
  { command: 'SET', size: '1 KB', inFlight: 1000 },
];
const LABELS = {
  [LAGOON]: 'Lagoon',
  [BARE]: 'node-redis, timeout off',
  [AUTO]: 'ioredis, auto-pipelining',
  ioredis: 'ioredis',
  [DEFAULTS]: 'node-redis',
  'generic-pool, one command per lease': 'generic-pool, one per lease',
  [POOL]: 'node-redis createClientPool',
};

const NAMES_WIDTH = 190;
const PANEL_WIDTH = 160;
const PANEL_GAP = 22;
const MARGIN = 20;
const TOP = 70;
const ROW = 26;
const BAR = 14;
/** Room behind the longest bar for its number. */
const NUMBER_WIDTH = 40;

const WIDTH = MARGIN * 2 + NAMES_WIDTH + PANELS.length * (PANEL_WIDTH + PANEL_GAP) - PANEL_GAP;
const HEIGHT = TOP + (Object.keys(LABELS).length + 1) * ROW + 42;

// The card has a ground of its own, so that it can be read on any page, whatever the page thinks of dark and light.
const STYLE = `
  .card { fill: #ffffff; stroke: #d8dee4 }
  text { font: 12px -apple-system, 'Segoe UI', 'Noto Sans', Helvetica, Arial, sans-serif; fill: #1f2328 }
  .head { font-weight: 600 }
  .soft { fill: #59636e }
  .number { font-size: 11px; fill: #59636e; font-variant-numeric: tabular-nums }
  .ours { font-weight: 600; fill: #0b7285 }
  .bar { fill: #b6bfc9 }
  .bar.ours { fill: #1098ad }
  .limit { fill: none; stroke: #8c959f; stroke-dasharray: 3 2 }
  .axis { stroke: #d8dee4 }
  @media (prefers-color-scheme: dark) {
    .card { fill: #0d1117; stroke: #30363d }
    text { fill: #e6edf3 }
    .soft, .number { fill: #9198a1 }
    .ours { fill: #3bc9db }
    .bar { fill: #4b535d }
    .bar.ours { fill: #22b8cf }
    .limit { stroke: #7d8590 }
    .axis { stroke: #30363d }
  }`;

/**
 * A bar chart of throughput, Lagoon marked and the socket loop as the limit.
 *
 * @param {import('../suites/commands.mjs').Cell[]} cells
 * @returns {string} SVG
 */
export function commandsChart(cells) {
  const names = Object.keys(LABELS);
  const labels = [...Object.values(LABELS), 'bare socket, no client'].map((label, i) =>
    text(MARGIN + NAMES_WIDTH - 10, baseline(i), label, kind(names[i], 'soft'), 'end'),
  );
  const panels = PANELS.map((wanted, i) => {
    const cell = cells.find((c) => Object.entries(wanted).every(([key, value]) => c[key] === value));
    return panel(cell, names, MARGIN + NAMES_WIDTH + i * (PANEL_WIDTH + PANEL_GAP));
  });
  const foot = text(
    MARGIN,
    HEIGHT - 16,
    'Commands per second as a share of Lagoon’s, medians of paired rounds. The bare socket, cut off here, is the limit.',
    'soft',
  );
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${WIDTH}" height="${HEIGHT}" viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img" aria-label="${describe(cells)}">
<style>${STYLE}
</style>
<rect class="card" x="0.5" y="0.5" width="${WIDTH - 1}" height="${HEIGHT - 1}" rx="8"/>
${[...labels, ...panels, foot].join('\n')}
</svg>
`;
}

function panel({ command, size, inFlight, rows }, names, x) {
  const share = (name) => 1 / rows.find((row) => row.name === name).lagoonTimes;
  const scale = (PANEL_WIDTH - NUMBER_WIDTH) / Math.max(...names.map(share));
  const bars = names.map((name, i) => {
    const width = Math.max(1, share(name) * scale);
    const y = TOP + i * ROW + (ROW - BAR) / 2;
    const bar = `<rect class="bar ${kind(name)}" x="${x}" y="${y}" width="${width.toFixed(1)}" height="${BAR}" rx="2"/>`;
    return bar + text(x + width + 5, baseline(i), share(name).toFixed(2), `number ${kind(name)}`);
  });
  const limitY = TOP + names.length * ROW + (ROW - BAR) / 2;
  const limitWidth = PANEL_WIDTH - NUMBER_WIDTH;
  return [
    text(x, TOP - 32, `${command} ${size}`, 'head'),
    text(x, TOP - 14, `${count(inFlight)} in flight`, 'soft'),
    `<path class="axis" d="M${x - 0.5} ${TOP}v${(names.length + 1) * ROW}"/>`,
    ...bars,
    // Open at its end: at this scale it would leave the picture.
    `<path class="limit" d="M${x + limitWidth} ${limitY}h${-limitWidth}v${BAR}h${limitWidth}"/>`,
    text(x + limitWidth + 5, baseline(names.length), share(LIMIT).toFixed(1), 'number'),
  ].join('\n');
}

function describe(cells) {
  const { rows } = cells.find((c) => c.command === 'GET' && c.size === '16 B' && c.inFlight === 100);
  const of = (name) => `${LABELS[name]} ${(1 / rows.find((row) => row.name === name).lagoonTimes).toFixed(2)}`;
  return `Bar chart of throughput. GET of 16 B, 100 in flight, as a share of Lagoon's: ${Object.keys(LABELS).map(of).join('; ')}`;
}

function kind(name, otherwise = '') {
  return name === LAGOON ? 'ours' : otherwise;
}

function baseline(i) {
  return TOP + i * ROW + ROW / 2 + 4;
}

function text(x, y, content, style = '', anchor = 'start') {
  return `<text x="${x.toFixed(1)}" y="${y}" class="${style.trim()}" text-anchor="${anchor}">${content}</text>`;
}
