import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { builtinModules } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

const root = fileURLToPath(new URL('../..', import.meta.url));
const exec = promisify(execFile);

/** A project of somebody who installed the tarball that `npm pack` makes. */
let project: string;
/** The files of the package. */
let files: string[];
let manifest: { dependencies: Record<string, string>; peerDependencies: Record<string, string> };

beforeAll(async () => {
  await exec(process.execPath, ['scripts/run.mjs', 'build'], { cwd: root });
  manifest = JSON.parse(await readFile(join(root, 'package.json'), 'utf8'));
  project = await mkdtemp(join(tmpdir(), 'lagoon-package-'));
  const modules = join(project, 'node_modules');
  await mkdir(modules);
  const packing = ['pack', '--ignore-scripts', '--json', '--pack-destination', project];
  const [packed] = JSON.parse((await exec('npm', packing, { cwd: root })).stdout);
  files = packed.files.map(({ path }: { path: string }) => path);
  await exec('tar', ['-xzf', packed.filename, '-C', modules], { cwd: project });
  await exec('mv', ['package', 'lagoon'], { cwd: modules });
  // Only what the manifest names can be found from there.
  for (const name of Object.keys(manifest.dependencies)) {
    await symlink(join(root, 'node_modules', name), join(modules, name));
  }
}, 120_000);

afterAll(() => rm(project, { recursive: true, force: true }));

/** Runs a script in the project; it must end well and print nothing but what it is asked for. */
async function node(name: string, script: string): Promise<string> {
  await writeFile(join(project, name), script);
  return (await exec(process.execPath, [name], { cwd: project })).stdout.trim();
}

describe('the published package', () => {
  test('holds the library, its types, the schema, the documentation and the legal texts, and nothing else', () => {
    const expected = [
      'CHANGELOG.md',
      'LICENSE',
      'README.md',
      'SECURITY.md',
      'dist/http/index.d.ts',
      'dist/http/index.js',
      'dist/index.d.ts',
      'dist/index.js',
      'dist/keyv/index.d.ts',
      'dist/keyv/index.js',
      'dist/testing/index.d.ts',
      'dist/testing/index.js',
      'package.json',
      'schema/registry.schema.json',
    ];
    expect(expected.filter((file) => !files.includes(file))).toEqual([]);
    const others = files.filter(
      (file) => !expected.includes(file) && !/^(dist\/.+\.(js|d\.ts)(\.map)?|docs\/.+\.(md|svg))$/.test(file),
    );
    expect(others).toEqual([]);
    expect(files.filter((file) => /\.test\.|test-d|fixture/.test(file))).toEqual([]);
  });

  test('holds every page that its README and its error messages point to', async () => {
    const readme = await readFile(join(root, 'README.md'), 'utf8');
    const links = [...readme.matchAll(/\]\((?!\w+:|#)([^)#\s]+)/g)].map(([, link = '']) => link);
    const images = [...readme.matchAll(/<img [^>]*src="(?!\w+:)([^"]+)"/g)].map(([, link = '']) => link);
    const sources = (await readdir(join(root, 'src'), { recursive: true })).filter((name) => name.endsWith('.ts'));
    const texts = await Promise.all(sources.map((name) => readFile(join(root, 'src', name), 'utf8')));
    const named = texts.flatMap((text) => text.match(/\b(?:docs\/[\w/-]+\.md|[A-Z]{4,}\.md)\b/g) ?? []);
    const wanted = [...links, ...images, ...named].map((link) => link.replace(/^\.\//, '').replace(/\/$/, ''));
    expect(wanted).toContain('docs/locks.md');
    const missing = wanted.filter((path) => !files.some((file) => file === path || file.startsWith(`${path}/`)));
    expect(missing).toEqual([]);
  });

  test('imports only what it declares', async () => {
    const declared = [...Object.keys(manifest.dependencies), ...Object.keys(manifest.peerDependencies)];
    const known = new Set([...declared, ...builtinModules.map((name) => `node:${name}`)]);
    const undeclared: string[] = [];
    for (const file of files.filter((name) => /^dist\/.*\.(js|d\.ts)$/.test(name))) {
      const text = await readFile(join(project, 'node_modules', 'lagoon', file), 'utf8');
      const code = text.replace(/^ *\/?\*.*$/gm, '');
      for (const [, specifier = ''] of code.matchAll(/(?:\bfrom|^import|\bimport\()\s*['"]([^'"]+)['"]/gm)) {
        const name = specifier.split('/', specifier.startsWith('@') ? 2 : 1).join('/');
        if (!specifier.startsWith('.') && !known.has(specifier) && !known.has(name)) {
          undeclared.push(`${file}: ${specifier}`);
        }
      }
    }
    expect(undeclared).toEqual([]);
  });

  test.each([
    ['lagoon', 'Registry'],
    ['lagoon/http', 'rateLimitExpress'],
    ['lagoon/keyv', 'KeyvLagoon'],
    ['lagoon/testing', 'startRedis'],
  ])('%s can be imported and required, which gives the same', async (name, exported) => {
    const script = `
      import * as imported from '${name}';
      import { createRequire } from 'node:module';
      const required = createRequire(import.meta.url)('${name}');
      const names = Object.keys(imported);
      console.log(JSON.stringify({ names, same: names.every((name) => imported[name] === required[name]) }));`;
    const { names, same } = JSON.parse(await node('both.mjs', script));
    expect(names).toContain(exported);
    expect(same).toBe(true);
  });

  test('can be required by a CommonJS program, first thing', async () => {
    const script = `
      const { Registry } = require('lagoon');
      const { rateLimitExpress } = require('lagoon/http');
      const { KeyvLagoon } = require('lagoon/keyv');
      const { startRedis } = require('lagoon/testing');
      console.log(typeof Registry, typeof rateLimitExpress, typeof KeyvLagoon, typeof startRedis);`;
    expect(await node('required.cjs', script)).toBe('function function function function');
  });

  test('gives its schema and its manifest, and hides its inner files', async () => {
    const script = `
      const schema = require('lagoon/schema/registry.schema.json');
      const { name } = require('lagoon/package.json');
      let inner = 'found';
      try { require('lagoon/dist/errors.js'); } catch (error) { inner = error.code; }
      console.log(typeof schema.$schema, name, inner);`;
    expect(await node('files.cjs', script)).toBe('string lagoon ERR_PACKAGE_PATH_NOT_EXPORTED');
  });

  test('prints a short line of code with an error that nothing catches, as its lines are short', async () => {
    const script = `import { Registry } from 'lagoon'; new Registry().registerRedis('h:99999').validate();`;
    const { stderr } = await node('uncaught.mjs', script).then(
      () => ({ stderr: '' }),
      (error) => error,
    );
    expect(stderr).toContain('ConfigError: The configuration has 1 problem');
    expect(stderr.length).toBeLessThan(2_000);

    for (const file of files.filter((name) => /^dist\/.*\.js$/.test(name))) {
      const text = await readFile(join(project, 'node_modules', 'lagoon', file), 'utf8');
      // The longest are rows of tables, which throw nothing.
      const long = text.split('\n').filter((line) => line.length > 1_000 && !line.startsWith('//#'));
      expect(long).toEqual([]);
    }
  });

  test('does nothing when imported but define things: the process ends at once, silently', async () => {
    const script = `import 'lagoon'; import 'lagoon/http'; import 'lagoon/keyv'; import 'lagoon/testing';`;
    expect(await node('silent.mjs', script)).toBe('');
  });
});
