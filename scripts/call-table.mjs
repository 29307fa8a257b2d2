/*
 * Writes src/pool/call-table.ts, which says what every typed command takes, from node-redis's type declarations. To be run by hand after
 * an upgrade of `redis`: `node scripts/call-table.mjs`. A test compares what it would write with what is there.
 */
import { execFile } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { readSignatures } from './call-signatures.mjs';
import { bin, root } from './process.mjs';

export const TABLE = join(root, 'src/pool/call-table.ts');

/** Shapes that are longer than this and stand in more than one place get a number. */
const SHARED_LENGTH = 40;

/** The text of the table. */
export async function callTable(signatures) {
  const shared = sharedShapes(signatures);
  const lines = Object.keys(signatures)
    .sort()
    .map((name) => `${JSON.stringify(name)}: ${JSON.stringify(rowOf(signatures[name], shared))},`);
  return format(`// Written by scripts/call-table.mjs from the type declarations of node-redis. Do not edit.

/** Objects with options that more than one command takes, by the number that the calls have for them. */
export const SHARED_OPTIONS: readonly string[] = [
${[...shared.keys()].map((text) => `${JSON.stringify(text)},`).join('\n')}
];

/**
 * What every typed command takes. In front of each stands how many arguments a call may have of which none can be silently
 * misunderstood; then come the calls it can be, with \`|\` between them.
 */
export const CALLS: Readonly<Record<string, string>> = {
${lines.join('\n')}
};
`);
}

function rowOf(calls, shared) {
  const free = Math.min(...calls.map(freeOf));
  const texts = calls.map((call) => call.map((parameter) => textOf(parameter, shared)).join(' '));
  return `${free} ${texts.join(' | ')}`;
}

/**
 * How many arguments need not be looked at: those before the first that takes an object, or nothing but an array. Of them a wrong
 * one is sent, or cannot be encoded; of others node-redis would take no notice.
 */
function freeOf(call) {
  const first = call.findIndex(
    ({ kinds }) => kinds.options || kinds.record || kinds.map || (kinds.array && !kinds.string),
  );
  if (first >= 0) return first;
  return call.some(({ rest }) => rest) ? Number.POSITIVE_INFINITY : call.length;
}

function textOf({ name, kinds, optional, rest }, shared) {
  return `${rest ? '...' : ''}${name}${optional ? '?' : ''}:${shapeOf(kinds, shared)}`;
}

const LETTERS = { string: 's', number: 'n', boolean: 'b', buffer: 'B', date: 'D', map: 'M', null: '0', any: '*' };

/** `sB` for a string or Buffer, `[…]` for an array, `<…>` for an object with any names, `{…}` for one with certain names. */
function shapeOf(kinds, shared) {
  if (kinds.any) return '*';
  const letters = Object.entries(LETTERS).map(([kind, letter]) =>
    kinds[kind] || (kind === 'string' && kinds.literals) ? letter : '',
  );
  const array = kinds.array ? `[${shapeOf(kinds.array, shared)}]` : '';
  const record = kinds.record ? `<${shapeOf(kinds.record, shared)}>` : '';
  return letters.join('') + array + record + (kinds.options ? optionsOf(kinds.options, shared) : '');
}

function optionsOf(options, shared) {
  const text = optionsText(options);
  const number = shared ? [...shared.keys()].indexOf(text) : -1;
  return number < 0 ? text : `#${number}`;
}

function optionsText(options) {
  return `{${Object.keys(options)
    .sort()
    .map((name) => `${name}${options[name].undefined ? '?' : ''}:${shapeOf(options[name])}`)
    .join(',')}}`;
}

function sharedShapes(signatures) {
  const counts = new Map();
  const count = (kinds) => {
    if (kinds.options) {
      const text = optionsText(kinds.options);
      counts.set(text, (counts.get(text) ?? 0) + 1);
    }
    for (const inner of [kinds.array, kinds.record]) if (inner) count(inner);
  };
  for (const name of Object.keys(signatures).sort())
    for (const call of signatures[name]) for (const { kinds } of call) count(kinds);
  return new Map([...counts].filter(([text, times]) => times > 1 && text.length > SHARED_LENGTH));
}

function format(text) {
  return new Promise((resolve, reject) => {
    const biome = execFile(bin('biome'), ['format', `--stdin-file-path=${TABLE}`], { cwd: root }, (error, stdout) =>
      error ? reject(error) : resolve(stdout),
    );
    biome.stdin.end(text);
  });
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await writeFile(TABLE, await callTable(await readSignatures()));
