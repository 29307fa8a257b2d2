/** Text in which a glob pattern of Redis matches itself only. */
export function escapeGlob(text: string): string {
  return text.replace(/[\\*?[\]]/g, '\\$&');
}

/** Matches what Redis's pattern matches, byte by byte as Redis does. */
export function globMatcher(glob: string): (text: string) => boolean {
  const tokens = tokensOf(bytes(glob));
  return (text) => matches(tokens, bytes(text));
}

/** `*`, or what one byte must be. */
type Token = '*' | ((byte: string) => boolean);

// On a mismatch only the last star takes one byte more: an earlier one could not do better.
function matches(tokens: readonly Token[], text: string): boolean {
  let token = 0;
  let star = -1;
  let from = 0;
  for (let i = 0; i < text.length; ) {
    const expected = tokens[token];
    if (expected === '*') {
      star = token++;
      from = i;
    } else if (expected?.(text[i] as string)) {
      token++;
      i++;
    } else if (star >= 0) {
      token = star + 1;
      i = ++from;
    } else return false;
  }
  return tokens.slice(token).every((left) => left === '*');
}

function tokensOf(glob: string): Token[] {
  const tokens: Token[] = [];
  for (let i = 0; i < glob.length; i++) {
    const character = glob[i] as string;
    if (character === '*') tokens.push('*');
    else if (character === '?') tokens.push(() => true);
    else if (character === '[') {
      const [set, end] = setFrom(glob, i + 1);
      tokens.push(set);
      i = end;
    } else {
      const literal = character === '\\' && i + 1 < glob.length ? (glob[++i] as string) : character;
      tokens.push((byte) => byte === literal);
    }
  }
  return tokens;
}

/** The set that begins at `from`, and where it ends: at the end of the glob if it is never closed. */
function setFrom(glob: string, from: number): [set: Token, end: number] {
  const negated = glob[from] === '^';
  const ranges: [first: string, last: string][] = [];
  let i = negated ? from + 1 : from;
  for (; i < glob.length && glob[i] !== ']'; i++) {
    const last = glob[i + 2];
    if (glob[i] === '\\' && i + 1 < glob.length) {
      i++;
      ranges.push([glob[i] as string, glob[i] as string]);
    } else if (glob[i + 1] === '-' && last !== undefined) {
      const first = glob[i] as string;
      ranges.push(first <= last ? [first, last] : [last, first]);
      i += 2;
    } else ranges.push([glob[i] as string, glob[i] as string]);
  }
  return [(byte) => ranges.some(([first, last]) => first <= byte && byte <= last) !== negated, i];
}

function bytes(text: string): string {
  return Buffer.from(text).toString('latin1');
}
