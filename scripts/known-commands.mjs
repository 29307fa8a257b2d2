/*
 * Writes src/pool/known-commands-data.ts: what node-redis knows of every command, so that no client of its has to be made for it at
 * run time. Run it by hand after an update of `redis`; a test compares. `--print` prints instead of writing.
 */
import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createCluster } from 'redis';
import { bin, root } from './process.mjs';

const FILE = 'src/pool/known-commands-data.ts';
const COLUMNS = 116;

/** The traits of a command that Lagoon uses, in a fixed order. */
function traitsOf({ isKeyless, flags = [], request, response }) {
  const policies = request === response && request.startsWith('default') ? [] : [`to:${request}`, `as:${response}`];
  const kept = ['readonly', 'write', 'blocking'].filter((flag) => flags.includes(flag));
  return [isKeyless ? 'keyless' : 'keyed', ...kept, ...policies].join(' ');
}

/** The cluster client is never connected; `_policyResolver` is private to node-redis, which is why this is no part of Lagoon. */
function groups() {
  const { policies } = createCluster({ rootNodes: [{}] })._policyResolver;
  const byTraits = new Map();
  const add = (name, command) => {
    const traits = traitsOf(command);
    byTraits.set(traits, [...(byTraits.get(traits) ?? []), name.toUpperCase()]);
    for (const [sub, own] of Object.entries(command.subcommands ?? {})) add(`${name}|${sub}`, own);
  };
  for (const [module, commands] of Object.entries(policies)) {
    for (const [name, command] of Object.entries(commands)) add(module === 'std' ? name : `${module}.${name}`, command);
  }
  return [...byTraits].sort().map(([traits, names]) => [traits, names.sort()]);
}

function wrapped(names) {
  const lines = [''];
  for (const name of names) {
    if (lines.at(-1).length + name.length + 1 > COLUMNS) lines.push('');
    lines[lines.length - 1] += lines.at(-1) === '' ? name : ` ${name}`;
  }
  return lines.join('\n    ');
}

const source = `// Written by scripts/known-commands.mjs; do not edit.

/**
 * Every command that node-redis knows, with its traits: whether it has keys, flags as the server's COMMAND lists them, and
 * where a cluster sends it (\`to:\`) and how it combines the replies (\`as:\`) if that is not the default. A subcommand stands
 * behind a \`|\`.
 */
export const KNOWN_COMMANDS: readonly (readonly [traits: string, names: string])[] = [
${groups()
  .map(([traits, names]) => `  ['${traits}', \`${wrapped(names)}\`],`)
  .join('\n')}
];
`;

const { stdout, status } = spawnSync(bin('biome'), ['format', `--stdin-file-path=${FILE}`], {
  cwd: root,
  input: source,
  encoding: 'utf8',
});
if (status !== 0) process.exit(1);
if (process.argv.includes('--print')) process.stdout.write(stdout);
else writeFileSync(join(root, FILE), stdout);
