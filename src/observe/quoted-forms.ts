/** Of longer binary values only the beginning is looked for in its escaped form. */
const MAX_ESCAPED = 4096;

/** Servers write some words in lower case. A letter whose lower case is longer stays, or every place behind it would move. */
export function fold(text: string): string {
  return text.replace(/\p{Lu}/gu, (letter) => {
    const lower = letter.toLowerCase();
    return lower.length === letter.length ? lower : letter;
  });
}

/** As the text of a reply is decoded: a half of a surrogate pair cannot be sent, and line ends become spaces. */
export function plain(value: string | Buffer): string {
  const text = typeof value === 'string' ? value.replace(/\p{Surrogate}/gu, '\ufffd') : value.toString('utf8');
  return text.replace(/[\r\n]/g, ' ');
}

/** The ways in which servers write a value. */
export function formsOf(value: string | Buffer): Set<string> {
  const text = plain(value);
  const forms = new Set([text]);
  const start = value.slice(0, MAX_ESCAPED);
  const bytes = Buffer.from(start as string);
  if (/[^\x20-\x7e]|["'\\]/.test(bytes.toString('latin1'))) {
    forms.add(escaped(bytes));
    forms.add(JSON.stringify(bytes.toString('utf8')).slice(1, -1));
  }
  return forms;
}

const ESCAPES: Readonly<Record<string, string>> = {
  '\n': '\\n',
  '\r': '\\r',
  '\t': '\\t',
  '\x07': '\\a',
  '\b': '\\b',
  '"': '\\"',
  '\\': '\\\\',
};

/** As Redis escapes what is not printable. */
function escaped(bytes: Buffer): string {
  return bytes
    .toString('latin1')
    .replace(
      /[^\x20-\x7e]|["\\]/g,
      (character) => ESCAPES[character] ?? `\\x${character.charCodeAt(0).toString(16).padStart(2, '0')}`,
    );
}
