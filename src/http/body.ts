import type { RateLimitResult } from '../limit/result.js';

/** What a denied request is answered with: a JSON problem (RFC 9457) of the type `quota-exceeded`, or one line of text. */
export type LimitedBody = 'problem' | 'text';

interface Content {
  readonly contentType: string;
  readonly body: string;
}

/** By the name of the body; type, title and members of the problem are those that the draft of the RateLimit fields registers. */
export const BODIES: Readonly<Record<LimitedBody, (result: RateLimitResult) => Content>> = {
  problem: ({ rule }) => ({
    contentType: 'application/problem+json',
    body: JSON.stringify({
      type: 'https://iana.org/assignments/http-problem-types#quota-exceeded',
      title: 'Request cannot be satisfied as assigned quota has been exceeded',
      status: 429,
      'violated-policies': [rule],
    }),
  }),
  text: () => ({ contentType: 'text/plain; charset=utf-8', body: 'Too many requests, please try again later.\n' }),
};
