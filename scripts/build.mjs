import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { bin, root, run } from './process.mjs';

const src = join(root, 'src');
const dist = join(root, 'dist');
/** Says which sources `dist` was made from. It lies outside `dist`, which is published. */
const stamp = join(root, 'node_modules', '.cache', 'lagoon', 'built-from');

/** Declarations by tsc, code by esbuild, unless `dist` is there from the very same sources. */
export async function build() {
  const sources = (await filesIn(src)).filter((file) => file.endsWith('.ts')).sort();
  const settings = ['tsconfig.json', 'tsconfig.build.json', 'package-lock.json', 'scripts/build.mjs'].map((name) =>
    join(root, name),
  );
  const hash = createHash('sha256');
  for (const file of [...sources, ...settings])
    hash
      .update(`${file}\0`)
      .update(await readFile(file))
      .update('\0');
  const digest = hash.digest('hex');
  if (existsSync(join(dist, 'index.js')) && digest === (await readFile(stamp, 'utf8').catch(() => ''))) return;

  await rm(stamp, { force: true });
  // What a source that is gone left there would be published otherwise.
  await rm(dist, { recursive: true, force: true });
  await run(bin('tsc'), ['-p', 'tsconfig.build.json'], { setup: true });
  await bundle();
  await mkdir(dirname(stamp), { recursive: true });
  await writeFile(stamp, digest);
}

/** One file per entry, and what they share: half the time of `import 'lagoon'` would be spent on opening small files. */
async function bundle() {
  const { build } = await import('esbuild');
  await build({
    entryPoints: ['', 'http', 'keyv', 'testing'].map((folder) => join(src, folder, 'index.ts')),
    outbase: src,
    outdir: dist,
    chunkNames: 'shared/[name]-[hash]',
    bundle: true,
    splitting: true,
    packages: 'external',
    platform: 'node',
    format: 'esm',
    target: 'node20.19',
    // Not minified: Node prints the line that threw an error which nothing caught, and it should be one that can be read.
    sourcemap: true,
    logLevel: 'warning',
  });
}

async function filesIn(folder) {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  return entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath ?? entry.path, entry.name));
}
