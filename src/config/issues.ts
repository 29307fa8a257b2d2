import type { ConfigIssue } from '../errors.js';
import { redactAddress } from './address.js';

/** The problems of one configuration: at most one per place, because the first one found explains the others. */
export class Issues {
  readonly #byPath = new Map<string, ConfigIssue>();

  add(path: string, message: string): void {
    if (!this.#byPath.has(path)) this.#byPath.set(path, { path, message });
  }

  addAll(issues: Iterable<ConfigIssue>): void {
    for (const { path, message } of issues) this.add(path, message);
  }

  has(path: string): boolean {
    return this.#byPath.has(path);
  }

  get list(): ConfigIssue[] {
    return [...this.#byPath.values()];
  }
}

/** JSON pointer of the given property names and indexes. */
export function pointer(...tokens: readonly (string | number)[]): string {
  return tokens.map((token) => `/${escapeToken(safeName(String(token)))}`).join('');
}

/** Property names of a JSON pointer. */
export function tokensOf(path: string): string[] {
  return path
    .split('/')
    .slice(1)
    .map((token) => token.replaceAll('~1', '/').replaceAll('~0', '~'));
}

/** A name as it may be shown: someone who writes a URL where a name belongs must not find its password in a log. */
export function safeName(name: string): string {
  return looksLikeCredentials(name) ? redactAddress(name) : name;
}

/** Whether a name has the shape of `user:password@host`. */
export function looksLikeCredentials(name: string): boolean {
  return /:.*@/s.test(name);
}

function escapeToken(token: string): string {
  return token.replaceAll('~', '~0').replaceAll('/', '~1');
}
