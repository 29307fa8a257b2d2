import { createRequire } from 'node:module';
import { ConfigError } from '../errors.js';

/** Where and why a YAML text cannot be read. */
export interface YamlProblem {
  readonly message: string;
  readonly line: number;
  readonly column: number;
}

/**
 * Reads YAML through the optional peer dependency `yaml`.
 *
 * @param file name of the file, for errors.
 * @throws {ConfigError} if `yaml` is not installed.
 */
export function parseYaml(
  text: string,
  file: string,
  require: NodeJS.Require = createRequire(import.meta.url),
): { readonly value: unknown } | { readonly problems: readonly YamlProblem[] } {
  const { LineCounter, parseDocument } = load(file, require);
  const lineCounter = new LineCounter();
  const document = parseDocument(text, { lineCounter });
  // Only the code of an error is used: its message quotes the text around the mistake, which may be a password.
  const problems = [...document.errors, ...document.warnings].map(({ code, pos }) => {
    const { line, col } = lineCounter.linePos(pos[0]);
    return { message: code.toLowerCase().replaceAll('_', ' '), line, column: col };
  });
  if (problems.length > 0) return { problems };
  try {
    return { value: document.toJS() as unknown };
  } catch {
    return { problems: [{ message: 'aliases that cannot be resolved', line: 1, column: 1 }] };
  }
}

function load(file: string, require: NodeJS.Require): typeof import('yaml') {
  try {
    return require('yaml') as typeof import('yaml');
  } catch (cause) {
    const message = `${file} is YAML, and reading it needs the package "yaml", which is not installed: npm install yaml`;
    throw new ConfigError([{ path: '', message }], { cause });
  }
}
