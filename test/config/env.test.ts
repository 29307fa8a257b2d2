// biome-ignore-all lint/suspicious/noTemplateCurlyInString: placeholders of a configuration are what is tested here.
import { afterEach, describe, expect, test, vi } from 'vitest';
import { readConfigFile } from '../../src/config/file.js';
import { resolveDraft } from '../../src/config/validate.js';
import { configErrorOf, issuesOf, temporaryFiles } from './support.js';

const files = temporaryFiles();
const load = (path: string | URL) => resolveDraft(readConfigFile(path), []);

afterEach(() => vi.unstubAllEnvs());

describe('an environment variable', () => {
  test('stands in any string, also in a list, also twice', () => {
    vi.stubEnv('LAGOON_HOST', 'redis.internal');
    vi.stubEnv('LAGOON_PW', 'p$&w"\\');
    const path = files.write(
      'env.json',
      '{ "pools": { "a": { "address": "${LAGOON_HOST}:1", "password": "${LAGOON_PW}", "keyPrefix": "${LAGOON_HOST}:${LAGOON_HOST}:" }, "b": { "cluster": ["${LAGOON_HOST}"] } } }',
    );
    expect(load(path)).toMatchObject([
      {
        topology: { endpoint: { host: 'redis.internal' } },
        password: 'p$&w"\\',
        keyPrefix: 'redis.internal:redis.internal:',
      },
      { topology: { nodes: [{ host: 'redis.internal' }] } },
    ]);
  });

  test('has a default, which also stands in for an empty one', () => {
    vi.stubEnv('LAGOON_UNSET', undefined);
    vi.stubEnv('LAGOON_EMPTY', '');
    vi.stubEnv('LAGOON_SET', 'set');
    const path = files.write(
      'default.yaml',
      'pools: { a: { address: "${LAGOON_UNSET:-localhost}:1", password: "${LAGOON_UNSET:-}", username: "${LAGOON_EMPTY:-app}", keyPrefix: "${LAGOON_SET:-x}${LAGOON_EMPTY}" } }',
    );
    expect(load(path)).toMatchObject([
      { topology: { endpoint: { host: 'localhost' } }, password: undefined, username: 'app', keyPrefix: 'set' },
    ]);
  });

  test('may stand in the braces that keep keys in one slot', () => {
    vi.stubEnv('LAGOON_UNSET', undefined);
    const path = files.write(
      'tag.json',
      '{ "pools": { "a": { "address": "h", "keyPrefix": "{${LAGOON_UNSET:-app}}:" } } }',
    );
    expect(load(path)).toMatchObject([{ keyPrefix: '{app}:' }]);
  });

  test('is not looked for after $${, nor in what a variable holds, nor in a name', () => {
    vi.stubEnv('LAGOON_PW', '${LAGOON_NESTED}');
    const path = files.write(
      'escape.json',
      '{ "pools": { "${x}": { "address": "h", "password": "${LAGOON_PW}", "username": "$${NAME}", "keyPrefix": "$x $$ $}{:$${" } } }',
    );
    expect(load(path)).toMatchObject([
      { code: '${x}', password: '${LAGOON_NESTED}', username: '${NAME}', keyPrefix: '$x $$ $}{:${' },
    ]);
  });

  test('becomes a number or a boolean where one is wanted, and only there', () => {
    vi.stubEnv('LAGOON_NUMBER', '12');
    vi.stubEnv('LAGOON_YES', 'true');
    const path = files.write(
      'typed.yaml',
      `pools:
  a:
    address: h
    database: "\${LAGOON_NUMBER}"
    password: "\${LAGOON_NUMBER}"
    keyPrefix: "\${LAGOON_YES}"
    tls: "\${LAGOON_YES}"
    commandTimeout: "\${LAGOON_NUMBER}"
    connectTimeout: "\${LAGOON_NUMBER}s"
    pool: { max: "\${LAGOON_NONE:-20}" }
`,
    );
    expect(load(path)).toMatchObject([
      {
        database: 12,
        password: '12',
        keyPrefix: 'true',
        commandTimeoutMs: 12,
        connectTimeoutMs: 12_000,
        pool: { max: 20 },
      },
    ]);
  });

  test('that is missing is an issue for each place, together with all other problems', () => {
    vi.stubEnv('LAGOON_A', undefined);
    vi.stubEnv('LAGOON_B', undefined);
    const path = files.write(
      'missing-env.json',
      '{ "pools": { "a": "${LAGOON_A}:${LAGOON_B}", "b": { "address": "h", "password": "${LAGOON_B}", "database": "${LAGOON_A}", "databse": 1 } } }',
    );
    const needs = (name: string) => `needs the environment variable ${name}, which is not set`;
    expect(issuesOf(() => load(path))).toEqual([
      { path: '/pools/a', message: `${needs('LAGOON_A')}; it ${needs('LAGOON_B')}` },
      { path: '/pools/b/password', message: needs('LAGOON_B') },
      { path: '/pools/b/database', message: needs('LAGOON_A') },
      { path: '/pools/b/databse', message: expect.stringContaining('did you mean "database"?') },
    ]);
  });

  test.each(['${', '${}', '${:-x}', '${1A}', '${A B}', '${A:x}', '${A-x}', '${A', '${A:-hunter2', 'hunter2${'])(
    'written as %s is an issue that does not repeat it',
    (text) => {
      const path = files.write('malformed.json', JSON.stringify({ pools: { a: { address: 'h', password: text } } }));
      const message = expect.stringMatching(/has a \$\{ that is not \$\{NAME\} or \$\{NAME:-default\}; write \$\$\{/);
      expect(issuesOf(() => load(path))).toEqual([{ path: '/pools/a/password', message }]);
      expect(String(configErrorOf(() => load(path)))).not.toContain('hunter2');
    },
  );

  test.each([
    ['a placeholder', '${LAGOON_A:-${LAGOON_B}}', /inside the default of another/],
    ['a placeholder that has a default', '${LAGOON_A:-${LAGOON_B:-hunter2}}', /inside the default of another/],
    ['a placeholder behind text', '${LAGOON_A:-hunter2-${LAGOON_B}}', /inside the default of another/],
    ['an escaped placeholder', '${LAGOON_A:-$${LAGOON_B}}', /inside the default of another/],
    ['what another one begins, as it is not closed', '${LAGOON_A:-hunter2 ${LAGOON_B}', /one that is not closed/],
    ['a brace', '${LAGOON_A:-{hunter2}:}', /has a \{ in the default of LAGOON_A: a default ends at the first \}/],
    ['the end of one', '${LAGOON_A:-hunter}2}', /has a \} behind a default, which ended at the first \}/],
    ['JSON', '${LAGOON_A:-{"hunter2":{}}}', /has a \{ in the default of LAGOON_A/],
  ])('whose default holds %s is an issue, whether it is set or not', (_what, text, message) => {
    const path = files.write('nested.json', JSON.stringify({ pools: { a: { address: 'h', password: text } } }));
    for (const value of [undefined, 'set']) {
      vi.stubEnv('LAGOON_A', value);
      vi.stubEnv('LAGOON_B', 'b');
      expect(issuesOf(() => load(path))).toEqual([
        { path: '/pools/a/password', message: expect.stringMatching(message) },
      ]);
      expect(String(configErrorOf(() => load(path)))).not.toContain('hunter2');
    }
  });
});
