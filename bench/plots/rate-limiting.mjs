/*
 * Draws ../../docs/img/rate-limiting.svg: what each algorithm admits of the same traffic, from a run against a throw-away Redis
 * server. `npm run build && node bench/plots/rate-limiting.mjs`; takes ten seconds.
 */
import { writeFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { Registry } from '../../dist/index.js';
import { startRedis } from '../../dist/testing/index.js';

const FILE = fileURLToPath(new URL('../../docs/img/rate-limiting.svg', import.meta.url));

const PERIOD_MS = 2000;
const LIMIT = 20;
const LIMITERS = [
  { title: 'sliding-window', options: {} },
  { title: 'gcra', options: { algorithm: 'gcra' } },
  { title: 'gcra, burst 4', options: { algorithm: 'gcra', burst: 4 } },
  { title: 'fixed-window', options: { algorithm: 'fixed-window' } },
];

/** When calls are made, in ms: too many all the time; few; a burst around the end of a fixed window; too many again. */
const TRAFFIC = [...every(45, 0, 4000), ...every(500, 4100, 5700), ...every(10, 5802, 6402), ...every(45, 6429, 9000)];
const END_MS = 9000;

const NAMES_WIDTH = 168;
const PLOT_WIDTH = 640;
const PLOT_HEIGHT = 76;
const PANEL_HEIGHT = PLOT_HEIGHT + 36;
const MARGIN = 20;
const TOP = 92;
/** The highest count that a panel has room for. */
const MOST = 2.2 * LIMIT;
const WIDTH = MARGIN * 2 + NAMES_WIDTH + PLOT_WIDTH;
const HEIGHT = TOP + LIMITERS.length * PANEL_HEIGHT + 56;
const LEFT = MARGIN + NAMES_WIDTH;

// The card has a ground of its own, so that it can be read on any page, whatever the page thinks of dark and light.
const STYLE = `
  .card { fill: #ffffff; stroke: #d8dee4 }
  text { font: 12px -apple-system, 'Segoe UI', 'Noto Sans', Helvetica, Arial, sans-serif; fill: #1f2328 }
  .head { font-weight: 600 }
  .soft { fill: #59636e }
  .over { font-weight: 600; fill: #c92a2a }
  .count { fill: #1098ad; fill-opacity: 0.28; stroke: #0b7285 }
  .limit { stroke: #c92a2a; stroke-dasharray: 4 3 }
  .admitted { stroke: #0b7285 }
  .made { stroke: #8c959f }
  .axis { stroke: #d8dee4 }
  @media (prefers-color-scheme: dark) {
    .card { fill: #0d1117; stroke: #30363d }
    text { fill: #e6edf3 }
    .soft { fill: #9198a1 }
    .over { fill: #ff8787 }
    .count { fill: #22b8cf; stroke: #3bc9db }
    .limit { stroke: #ff8787 }
    .admitted { stroke: #3bc9db }
    .made { stroke: #7d8590 }
    .axis { stroke: #30363d }
  }`;

const runs = await run();
// The times are this process's, the decisions the server's: on a machine that is too busy they do not fit together.
if (runs[0].most > LIMIT)
  throw new Error('The times of this run are too rough to draw; run it again on a quieter machine');
await writeFile(FILE, draw(runs));
for (const { title, admitted, most } of runs) {
  console.log(`${title}: ${admitted.length} of ${TRAFFIC.length} admitted, at most ${most} in a period`);
}

/** The same calls to all limiters at the same time. */
async function run() {
  const server = await startRedis();
  const engine = new Registry().registerRedis(server.address).validate();
  const limiters = LIMITERS.map(({ title, options }) => ({
    title,
    limiter: engine.getRedis().getRateLimiter({ ...options, limit: LIMIT, period: PERIOD_MS, prefix: `${title}:` }),
    admitted: [],
  }));
  try {
    // The connection is made and the scripts are known before the clock starts.
    for (const { limiter } of limiters) await limiter.peek('warm-up');
    const start = performance.now();
    const decisions = [];
    for (const at of TRAFFIC) {
      await sleep(start + at - performance.now());
      const now = performance.now() - start;
      for (const { limiter, admitted } of limiters) {
        decisions.push(limiter.consume('key').then(({ allowed }) => allowed && admitted.push(now)));
      }
    }
    await Promise.all(decisions);
  } finally {
    await engine.close();
    await server.stop();
  }
  return limiters.map(({ title, admitted }) => {
    const steps = counts(admitted);
    return { title, admitted, steps, most: Math.max(...steps.map(({ count }) => count)) };
  });
}

/** How many of the calls were made in the period before, at every time at which that changes. */
function counts(admitted) {
  const changes = admitted.flatMap((at) => [
    { at, by: 1 },
    { at: at + PERIOD_MS, by: -1 },
  ]);
  let count = 0;
  return changes
    .sort((a, b) => a.at - b.at)
    .filter(({ at }) => at <= END_MS)
    .map(({ at, by }) => {
      count += by;
      return { at, count };
    });
}

function every(interval, from, to) {
  return Array.from({ length: Math.ceil((to - from) / interval) }, (_, i) => from + i * interval);
}

function draw(panels) {
  const facts = panels.map(
    ({ title, admitted, most }) => `${title}: ${admitted.length} admitted, at most ${most} in a period`,
  );
  const foot = [
    `Filled: how many calls were admitted in the period before. Dashed: the limit of ${LIMIT}. Ticks: the calls that were admitted.`,
    'Upright lines are a period apart. All four decided on the same calls, in one run against a Redis server.',
  ];
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${WIDTH}" height="${HEIGHT}" viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img" aria-label="What four rate limiters with a limit of ${LIMIT} calls per period admit of the same ${TRAFFIC.length} calls. ${facts.join('; ')}">
<style>${STYLE}
</style>
<rect class="card" x="0.5" y="0.5" width="${WIDTH - 1}" height="${HEIGHT - 1}" rx="8"/>
${traffic()}
${panels.map(panel).join('\n')}
${foot.map((line, i) => text(MARGIN, HEIGHT - 34 + i * 18, line, 'soft')).join('\n')}
</svg>
`;
}

function traffic() {
  const parts = [
    { from: 0, label: 'steady, more than the limit' },
    { from: 4100, label: 'little' },
    { from: 5802, label: 'a burst' },
    { from: 6560, label: 'steady, more than the limit' },
  ];
  return [
    text(MARGIN, 40, 'The calls', 'head'),
    text(MARGIN, 57, `${TRAFFIC.length} in ${END_MS / PERIOD_MS} periods`, 'soft'),
    ...parts.map(({ from, label }) => text(x(from), 26, label, 'soft')),
    ticks(TRAFFIC, 36, 22, 'made'),
  ].join('\n');
}

function panel({ title, admitted, steps, most }, i) {
  const top = TOP + i * PANEL_HEIGHT;
  const floor = top + PLOT_HEIGHT;
  const y = (count) => (floor - (count / MOST) * PLOT_HEIGHT).toFixed(1);
  const line = steps.map(({ at, count }) => `H${x(at).toFixed(1)}V${y(count)}`).join('');
  const periods = every(PERIOD_MS, 0, END_MS + 1).map((at) => `M${x(at)} ${top}V${floor}`);
  return [
    text(MARGIN, top + 26, title, 'head'),
    text(MARGIN, top + 44, `${admitted.length} admitted`, 'soft'),
    text(MARGIN, top + 61, `at most ${most} in a period`, most > LIMIT ? 'over' : 'soft'),
    `<path class="axis" fill="none" d="${periods.join('')}M${LEFT} ${floor}h${PLOT_WIDTH}"/>`,
    `<path class="count" d="M${LEFT} ${floor}${line}H${LEFT + PLOT_WIDTH}V${floor}"/>`,
    `<path class="limit" d="M${LEFT} ${y(LIMIT)}h${PLOT_WIDTH}"/>`,
    ticks(admitted, floor + 5, 12, 'admitted'),
  ].join('\n');
}

function ticks(times, y, height, style) {
  return `<path class="${style}" d="${times.map((at) => `M${x(at).toFixed(1)} ${y}v${height}`).join('')}"/>`;
}

function x(at) {
  return LEFT + (at / END_MS) * PLOT_WIDTH;
}

function text(atX, y, content, style) {
  return `<text x="${atX.toFixed(1)}" y="${y}" class="${style}">${content}</text>`;
}
