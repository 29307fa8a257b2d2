import { LagoonError } from '../errors.js';
import { type Hidden, mask } from './mask.js';

/** Passwords of a function that are remembered: those of connections that may still be open. */
const MAX_REMEMBERED = 64;
/** A longer chain of causes is cut. */
const MAX_CAUSES = 8;

/** The secrets of everything that has some, for as long as it exists. */
const secretsOf = new WeakMap<object, Hidden[]>();
const holders = new Set<WeakRef<object>>();
const forgotten = new FinalizationRegistry<WeakRef<object>>((holder) => holders.delete(holder));

/** Remembers a secret, so that no text of a server that is passed on shows it, for as long as `holder` exists. */
export function rememberSecret(holder: object, secret: string): void {
  let secrets = secretsOf.get(holder);
  if (!secrets) {
    secrets = [];
    secretsOf.set(holder, secrets);
    const reference = new WeakRef(holder);
    holders.add(reference);
    forgotten.register(holder, reference);
  }
  if (secret === '' || secrets.some(({ text }) => text === secret)) return;
  if (secrets.length === MAX_REMEMBERED) secrets.shift();
  secrets.push({ kind: 'secret', text: secret });
}

/** The secrets of every pool there is. */
export function poolSecrets(): Hidden[] {
  const all: Hidden[] = [];
  for (const reference of holders) {
    const holder = reference.deref();
    if (holder) all.push(...(secretsOf.get(holder) ?? []));
  }
  return all;
}

/** A text of a server without the secrets of any pool in it. */
export function hideSecrets(text: string): string {
  return mask(text, poolSecrets());
}

/** A foreign error as it is, or a copy if it, or what caused it, shows a secret of a pool. Lagoon's own are worded without. */
export function withoutSecrets(error: Error, depth = 0): Error {
  if (error instanceof LagoonError) return error;
  const message = hideSecrets(error.message);
  const cause = error.cause instanceof Error && depth < MAX_CAUSES ? withoutSecrets(error.cause, depth + 1) : undefined;
  const isClean = message === error.message && (cause === error.cause || !(error.cause instanceof Error));
  if (isClean) return error;
  const copy = new Error(message, cause && { cause });
  const { name, code } = error as NodeJS.ErrnoException;
  Object.defineProperty(copy, 'name', { value: name, configurable: true, writable: true });
  return code === undefined ? copy : Object.assign(copy, { code });
}
