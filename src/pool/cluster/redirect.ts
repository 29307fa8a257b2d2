import { ConnectionError, ReplyError } from '../../errors.js';

/** The server that a command was sent or was to be sent to has left the cluster, or has no slots any more. */
export class ServerLeftError extends ConnectionError {
  constructor(address: string) {
    super(`${address} is not a master of the cluster any more`, false);
  }
}

/** Where to send a command again that was not executed. */
export type Redirect =
  /** The slot belongs to another server; without an address nobody knows which. */
  | { readonly kind: 'moved'; readonly address: string | undefined }
  /** The slot is on its way to another server, which has the key already, or is to have it. */
  | { readonly kind: 'ask'; readonly address: string }
  /** To whoever has the slot in a moment; `outdated`: that may be another than is known. */
  | { readonly kind: 'later'; readonly outdated: boolean };

const LATER: Redirect = { kind: 'later', outdated: true };
/** Some keys are on their way: who has the slot says where it is when they have arrived. */
const ON_THE_WAY: Redirect = { kind: 'later', outdated: false };

/** What `error` says of where the command belongs, if it was not executed for that reason. */
export function redirectOf(error: unknown): Redirect | undefined {
  if (error instanceof ReplyError) return redirectOfReply(error);
  if (error instanceof ServerLeftError) return LATER;
  // A lease's own error around it.
  const unsent = error instanceof ConnectionError && !error.mayHaveBeenExecuted;
  return unsent && error.cause instanceof ServerLeftError ? LATER : undefined;
}

function redirectOfReply({ replyCode, message }: ReplyError): Redirect | undefined {
  if (replyCode === 'TRYAGAIN') return ON_THE_WAY;
  // The cluster makes up its mind.
  if (replyCode === 'CLUSTERDOWN') return LATER;
  if (replyCode !== 'MOVED' && replyCode !== 'ASK') return undefined;
  // MOVED <slot> <host>:<port>, where a server that does not know the host leaves it out.
  const address = message.split(' ')[2] ?? '';
  if (address === '' || address.startsWith(':')) return LATER;
  return { kind: replyCode === 'MOVED' ? 'moved' : 'ask', address };
}
