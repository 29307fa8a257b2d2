import { InvalidArgumentError } from './errors.js';

/**
 * Refuses text that UTF-8 cannot hold. Every lone surrogate (half of a character such as 😀) is sent as the same U+FFFD, so that
 * different keys would be one in Redis, and what one caller stores, locks or counts would be another's.
 *
 * @param what what the text is, as its user knows it: `key`, `tag`.
 * @throws {InvalidArgumentError} if the text has a lone surrogate. The message does not show the text.
 */
export function checkWellFormed(text: string, what: string): void {
  // In Node since 20, in the language since ES2024.
  if ((text as string & { isWellFormed(): boolean }).isWellFormed()) return;
  throw new InvalidArgumentError(
    `${what} must be well-formed Unicode, got a lone surrogate, which Redis could not tell from any other. ` +
      `Encode what may be ill-formed: JSON.stringify(${what}) keeps different texts different`,
  );
}
