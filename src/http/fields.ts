/** Lists, to which each limiter that a request passes adds its own. */
const LISTS: ReadonlySet<string> = new Set(['RateLimit-Policy', 'RateLimit']);

export function isList(name: string): boolean {
  return LISTS.has(name);
}

/** Writes header fields; `get` and `set` are the answer's. */
export function writeFields(
  headers: Readonly<Record<string, string>>,
  get: (name: string) => number | string | readonly string[] | undefined,
  set: (name: string, value: string) => unknown,
): void {
  for (const [name, value] of Object.entries(headers)) {
    const before = isList(name) ? get(name) : undefined;
    set(name, before === undefined ? value : `${String(before)}, ${value}`);
  }
}
