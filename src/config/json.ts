import { pointer } from './issues.js';

/** Something wrong with a JSON text, and the offset of the character where it shows. */
export interface JsonProblem {
  readonly path: string;
  readonly message: string;
  readonly offset: number;
}

const SPACE = /[ \t\n\r]*/y;
// biome-ignore lint/suspicious/noControlCharactersInRegex: these are the characters that JSON does not allow in a string.
const STRING = /"[^"\\\u0000-\u001f]*(?:\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})[^"\\\u0000-\u001f]*)*"/y;
const SCALAR = /true|false|null|-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y;
const MAX_DEPTH = 64;

/**
 * Finds what `JSON.parse` would not accept, and names that an object has twice, of which it would silently drop one.
 * `JSON.parse` itself quotes the text around a mistake in its message, and in a configuration that may be a password.
 */
export function jsonProblems(text: string): readonly JsonProblem[] {
  const problems: JsonProblem[] = [];
  let offset = 0;

  function accept(form: RegExp): string | undefined {
    form.lastIndex = offset;
    const found = form.exec(text)?.[0];
    offset += found?.length ?? 0;
    return found;
  }

  /** Whether the next character, white space aside, is this one; if so it is passed over. */
  function next(character: string): boolean {
    accept(SPACE);
    if (text[offset] !== character) return false;
    offset++;
    return true;
  }

  function value(path: readonly (string | number)[]): void {
    if (path.length > MAX_DEPTH) throw problem('is nested too deeply');
    if (next('{')) object(path);
    else if (next('[')) array(path);
    else if (accept(STRING) === undefined && accept(SCALAR) === undefined) throw problem('a value is expected');
  }

  function object(path: readonly (string | number)[]): void {
    const names = new Set<string>();
    if (next('}')) return;
    do {
      accept(SPACE);
      const start = offset;
      const quoted = accept(STRING);
      if (quoted === undefined) throw problem('a property name in double quotes is expected');
      const name = JSON.parse(quoted) as string;
      if (names.has(name)) problems.push({ path: pointer(...path, name), message: 'is there twice', offset: start });
      names.add(name);
      if (!next(':')) throw problem('":" is expected');
      value([...path, name]);
    } while (next(','));
    if (!next('}')) throw problem('"," or "}" is expected');
  }

  function array(path: readonly (string | number)[]): void {
    if (next(']')) return;
    let index = 0;
    do value([...path, index++]);
    while (next(','));
    if (!next(']')) throw problem('"," or "]" is expected');
  }

  function problem(message: string): SyntaxProblem {
    return new SyntaxProblem({ path: '', message, offset });
  }

  try {
    value([]);
    accept(SPACE);
    if (offset < text.length) throw problem('the end of the file is expected');
  } catch (error) {
    if (!(error instanceof SyntaxProblem)) throw error;
    return [error.problem];
  }
  return problems;
}

class SyntaxProblem extends Error {
  readonly problem: JsonProblem;

  constructor(problem: JsonProblem) {
    super(problem.message);
    this.problem = problem;
  }
}
