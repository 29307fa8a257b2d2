/** Stands for an argument that is not shown. */
export const UNSHOWN = '?';

/** Characters of one argument shown at most. */
const MAX_CHARS = 128;

/** Control characters, line ends, marks that change the direction of text, lone surrogates, and the escape itself. */
const UNSAFE = /[\p{C}\p{Zl}\p{Zp}\\]/gu;

/**
 * An argument as text that is safe in a log line or a terminal: bytes that are not printable ASCII, and characters that
 * are not printable, are escaped, and what is longer than 128 characters ends in `…`.
 */
export function printable(arg: string | Buffer): string {
  const text = head(arg);
  if (text === undefined) return UNSHOWN;
  return arg.length > MAX_CHARS ? `${text}…` : text;
}

function head(arg: unknown): string | undefined {
  if (typeof arg === 'string') return arg.slice(0, MAX_CHARS).replace(UNSAFE, escapeCharacter);
  if (!Buffer.isBuffer(arg)) return undefined;
  return arg.toString('latin1', 0, MAX_CHARS).replace(/[^\x20-\x7e]|\\/g, escapeCharacter);
}

function escapeCharacter(character: string): string {
  if (character === '\\') return '\\\\';
  const code = character.codePointAt(0) ?? 0;
  return code < 0x100 ? `\\x${code.toString(16).padStart(2, '0')}` : `\\u{${code.toString(16)}}`;
}
