/** A body with its type. */
export interface AnsweredBody {
  readonly contentType: string;
  readonly body: string;
}

/** What an application gave as its answer: text, or what is sent as JSON; `undefined` for anything else, which is no answer. */
export function asBody(answer: unknown): AnsweredBody | undefined {
  if (typeof answer === 'string') return { contentType: 'text/plain; charset=utf-8', body: answer };
  if (!isPlain(answer)) return undefined;
  return { contentType: 'application/json; charset=utf-8', body: JSON.stringify(answer) };
}

/** A response, a timer or any other object of a class is what a call happened to return. */
function isPlain(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return false;
  const prototype: unknown = Object.getPrototypeOf(value);
  return Array.isArray(value) || prototype === Object.prototype || prototype === null;
}
