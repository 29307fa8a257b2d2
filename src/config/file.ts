import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { ConfigError, type ConfigIssue } from '../errors.js';
import { expandEnv } from './env.js';
import { jsonProblems } from './json.js';
import { type Snapshot, snapshot } from './snapshot.js';
import { parseYaml } from './yaml.js';

/**
 * Reads a configuration from a `.json`, `.yaml` or `.yml` file and puts environment variables in.
 *
 * @throws {ConfigError} if the file cannot be read or parsed; a missing variable is an issue of the result.
 */
export function readConfigFile(path: string | URL): Snapshot {
  const file = nameOf(path);
  const extension = /\.(json|ya?ml)$/i.exec(file)?.[1]?.toLowerCase();
  if (extension === undefined) throw fault(`${file}: the name must end in .json, .yaml or .yml`);
  const text = readText(file);
  const value = extension === 'json' ? fromJson(text, file) : fromYaml(text, file);
  return expandEnv(snapshot(value), process.env);
}

function nameOf(path: string | URL): string {
  try {
    return resolve(path instanceof URL ? fileURLToPath(path) : path);
  } catch (cause) {
    throw fault('the path of the file must be a string or a file: URL', cause);
  }
}

function readText(file: string): string {
  try {
    return readFileSync(file, 'utf8').replace(/^\uFEFF/, '');
  } catch (cause) {
    const { code = 'unknown error' } = cause as NodeJS.ErrnoException;
    throw fault(`${file} cannot be read (${code})`, cause);
  }
}

function fromJson(text: string, file: string): unknown {
  const issues = jsonProblems(text).map(({ path, message, offset }): ConfigIssue => {
    const lines = text.slice(0, offset).split('\n');
    const where = `${file}, line ${lines.length}, column ${(lines.at(-1) ?? '').length + 1}`;
    return { path, message: path ? `${message} (${where})` : `${where}: not valid JSON, ${message}` };
  });
  if (issues.length > 0) throw new ConfigError(issues);
  return JSON.parse(text);
}

function fromYaml(text: string, file: string): unknown {
  const result = parseYaml(text, file);
  if ('value' in result) return result.value;
  throw new ConfigError(
    result.problems.map(({ message, line, column }) => ({
      path: '',
      message: `${file}, line ${line}, column ${column}: not valid YAML, ${message}`,
    })),
  );
}

function fault(message: string, cause?: unknown): ConfigError {
  return new ConfigError([{ path: '', message }], cause === undefined ? undefined : { cause });
}
