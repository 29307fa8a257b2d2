import { mkdirSync } from 'node:fs';
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';
import { describe, expect, test } from 'vitest';
import { readConfigFile } from '../../src/config/file.js';
import { resolveDraft } from '../../src/config/validate.js';
import { parseYaml } from '../../src/config/yaml.js';
import { ConfigError } from '../../src/errors.js';
import { configErrorOf, issuesOf, temporaryFiles } from './support.js';

const files = temporaryFiles();
const load = (path: string | URL) => resolveDraft(readConfigFile(path), []);

const JSON_TEXT = '{ "pools": { "default": "localhost:7000:1", "b": { "cluster": ["h"], "tls": true } } }';
const YAML_TEXT = `
pools:
  default: localhost:7000:1
  b:
    cluster: [h]
    tls: true
`;

describe('a file', () => {
  test.each([
    ['a.json', JSON_TEXT],
    ['b.JSON', `\uFEFF${JSON_TEXT}`],
    ['c.yaml', YAML_TEXT],
    ['d.yml', YAML_TEXT],
  ])('%s gives its pools', (name, text) => {
    const path = files.write(name, text);
    for (const where of [path, pathToFileURL(path)]) {
      expect(load(where).map(({ code, database, tls }) => [code, database, tls])).toEqual([
        ['default', 1, false],
        ['b', 0, { minVersion: 'TLSv1.2', rejectUnauthorized: true }],
      ]);
    }
  });

  test('that is not there is a ConfigError naming it, with the cause', () => {
    const path = files.path('missing.json');
    expect(issuesOf(() => load(path))).toEqual([{ path: '', message: `${path} cannot be read (ENOENT)` }]);
    expect(configErrorOf(() => load(path))?.cause).toBeInstanceOf(Error);
  });

  test('that is a folder is a ConfigError', () => {
    mkdirSync(files.path('folder.json'));
    expect(() => load(files.path('folder.json'))).toThrow(/folder.json cannot be read \(EISDIR\)/);
  });

  test('of another kind is a ConfigError', () => {
    expect(() => load(files.write('redis.toml', ''))).toThrow(/redis.toml: the name must end in .json, .yaml or .yml/);
  });

  test.each([undefined, null, 42, {}, Symbol('x'), new URL('http://localhost/a.json')])(
    'of the name %o is a ConfigError',
    (path) => {
      expect(() => readConfigFile(path as string)).toThrow(ConfigError);
    },
  );

  test.each<[string, string, string, RegExp]>([
    ['empty.json', '', '', /line 1, column 1: not valid JSON, a value is expected/],
    [
      'comma.json',
      '{\n  "pools": {},\n}',
      '',
      /comma.json, line 3, column 1: not valid JSON, a property name in double quotes/,
    ],
    ['quotes.json', '{\n  "pools": hunter2 }', '', /line 2, column 12: not valid JSON, a value is expected/],
    ['open.json', '{ "pools": { "a": "h" }', '', /"," or "}" is expected/],
    [
      'twice.json',
      '{ "pools": {\n "a": "h",\n "a": "i" } }',
      '/pools/a',
      /is there twice .*twice.json, line 3, column 2/,
    ],
    ['bad.yaml', 'pools:\n  a: "hunter2\n', '', /bad.yaml, line \d, column \d+: not valid YAML, /],
    ['twice.yaml', 'pools:\n  a: h\n  a: hunter2\n', '', /line 3, column 3: not valid YAML, duplicate key/],
    ['tag.yaml', 'pools:\n  a: !vault hunter2\n', '', /line 2, .*: not valid YAML, tag resolve failed/],
    ['alias.yaml', 'pools:\n  a: *hunter2\n', '', /not valid YAML/],
    ['empty.yaml', '', '', /must be an object, got null/],
    ['self.yaml', '&a\npools: *a\n', '/pools', /refers back|must be/],
  ])(
    '%s with a mistake is a ConfigError that says where, and shows nothing of the text',
    (name, text, place, message) => {
      const path = files.write(name, text);
      const error = configErrorOf(() => load(path));
      expect(error?.issues[0]).toEqual({ path: place, message: expect.stringMatching(message) });
      expect(`${error?.stack}${error?.cause}`).not.toContain('hunter2');
    },
  );

  test('with an alias bomb is a ConfigError', () => {
    const levels = Array.from(
      { length: 12 },
      (_, level) => `l${level + 1}: &l${level + 1} [${'*l'}${level}, *l${level}, *l${level}, *l${level}]`,
    );
    const path = files.write('bomb.yaml', `l0: &l0 x\n${levels.join('\n')}\n`);
    expect(issuesOf(() => load(path)).length).toBeGreaterThan(0);
  });

  test('of YAML says what to install where the package yaml is missing', () => {
    // A folder from which no node_modules can be seen.
    const elsewhere = createRequire(files.path('nowhere.js'));
    expect(() => parseYaml('pools: {}', 'redis.yaml', elsewhere)).toThrow(
      expect.objectContaining({
        code: 'LAGOON_CONFIG',
        message: expect.stringMatching(/redis.yaml is YAML.*"yaml", which is not installed: npm install yaml/),
      }),
    );
  });
});
