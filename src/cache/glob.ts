/** Text in which a glob pattern of Redis matches itself only. */
export function escapeGlob(text: string): string {
  return text.replace(/[\\*?[\]]/g, '\\$&');
}

/** Whether Redis would match anything but the text itself. */
export function isGlob(text: string): boolean {
  return /[\\*?[]/.test(text);
}

/** Matches what Redis's pattern matches. */
export function globMatcher(glob: string): (text: string) => boolean {
  let source = '';
  for (let i = 0; i < glob.length; i++) {
    const character = glob[i] as string;
    if (character === '*') source += '[^]*';
    else if (character === '?') source += '[^]';
    else if (character === '[') {
      const [set, end] = characterSet(glob, i + 1);
      source += set;
      i = end;
    } else {
      if (character === '\\' && i + 1 < glob.length) i++;
      source += quoted(glob[i] as string);
    }
  }
  const pattern = new RegExp(`^${source}$`);
  return (text) => pattern.test(text);
}

/** The set that begins at `from`, and where it ends: at the end of the glob if it is never closed. */
function characterSet(glob: string, from: number): [source: string, end: number] {
  const negated = glob[from] === '^';
  let source = '';
  let i = negated ? from + 1 : from;
  for (; i < glob.length && glob[i] !== ']'; i++) {
    if (glob[i] === '\\' && i + 1 < glob.length) i++;
    const first = glob[i] as string;
    const last = glob[i + 2];
    if (glob[i + 1] === '-' && last !== undefined) {
      source += first <= last ? `${quoted(first)}-${quoted(last)}` : `${quoted(last)}-${quoted(first)}`;
      i += 2;
    } else source += quoted(first);
  }
  // An empty set matches nothing, its opposite everything.
  if (source === '') return [negated ? '[^]' : '[]', i];
  return [`[${negated ? '^' : ''}${source}]`, i];
}

function quoted(character: string): string {
  return character.replace(/[\\^$.*+?()[\]{}|/-]/, '\\$&');
}
