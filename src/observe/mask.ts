import { UNSHOWN } from './printable.js';
import { fold, formsOf, plain } from './quoted-forms.js';
import { isServerText, isServerWord, startsWithCode } from './server-texts.js';

/** What must not be seen in a text: a value that was sent, the source of a program, or a secret of a pool. */
export interface Hidden {
  readonly kind: 'value' | 'program' | 'secret';
  readonly text: string | Buffer;
}

/** Characters of a text that are kept at most: what follows could only be a quotation. */
const MAX_TEXT = 4096;
/** Longer values are data: only what is common to them and a text for at least `LONG_RUN` characters is no coincidence. */
const MAX_SHORT = 1024;
const LONG_RUN = 12;
/** In a quotation, and outside of one where the run could not be a word of the server's. */
const QUOTED_RUN = 4;
const TELLING_RUN = 6;
const GRAM = 3;
const LONG_GRAM = 6;
/** Every run of `LONG_RUN` characters holds a gram that begins at a multiple of this. */
const STRIDE = LONG_RUN - LONG_GRAM + 1;
/** Characters that are compared at most for one value: a text that repeats itself so much is hidden as a whole. */
const MAX_COMPARED = 1_000_000;

/** How a quotation ends that was cut, be it inside a character. */
const CUT = /(?:\ufffd+|\.{3}|…)+$/;

const QUOTATION = /(?<![\p{L}\p{N}_])(['"`])(.*?)(?:\1(?![\p{L}\p{N}_])|$)/gsu;

const WORD_CHARACTER = /[\p{L}\p{N}_]/u;

/**
 * A text of a server without what is hidden: each part of it that quotes a hidden argument becomes `?`. A part is taken
 * for a quotation if it is long, if it stands between quotation marks, or if it is no word that servers use. Servers cut
 * and escape what they quote, so that parts are looked for, in every form in which they may be written.
 */
export function mask(text: string, hidden: readonly Hidden[]): string {
  if (hidden.length === 0 || isServerText(text)) return text;
  const masked = new MaskedText(text.slice(0, MAX_TEXT));
  for (const { kind, text: secret } of hidden) {
    if (secret.length === 0) continue;
    if (kind === 'program') masked.hideProgram(fold(plain(secret)));
    else for (const form of formsOf(secret)) masked.hide(fold(form), kind);
  }
  return masked.toString() + (text.length > MAX_TEXT ? '…' : '');
}

/** A quotation in a text: where its content begins and ends, and what it has before it is cut, if it is. */
interface Quotation {
  readonly start: number;
  readonly end: number;
  readonly content: string;
  readonly beginning: string | undefined;
}

class MaskedText {
  readonly #text: string;
  readonly #folded: string;
  readonly #quotations: readonly Quotation[];
  /** 1 for each character that is not shown. */
  readonly #unshown: Uint8Array;
  /** Where each sequence of some characters begins, by their number. */
  #compared = 0;
  readonly #grams = new Map<number, Map<string, number[]>>();

  constructor(text: string) {
    this.#text = text;
    this.#folded = fold(text);
    this.#quotations = quotationsOf(this.#folded);
    this.#unshown = new Uint8Array(text.length);
  }

  hide(value: string, kind: 'value' | 'secret'): void {
    this.#compared = 0;
    for (const { start, content, beginning } of this.#quotations) {
      const isCut = beginning !== undefined && value.startsWith(beginning);
      if (isCut || content === value) this.#put(start, content.length);
    }
    if (kind === 'secret') this.#hideWords(value);
    if (value.length > MAX_SHORT) this.#hideLong(value);
    else {
      for (const [at, length] of this.#runs(value, GRAM, 1)) {
        if (this.#givesAway(at, length, value, kind)) this.#put(at, length);
      }
    }
  }

  /** Hides what looks like a secret in the source: the words of a program's own errors are to be read. */
  hideProgram(source: string): void {
    for (const { start, end, content } of this.#quotations) {
      const isLiteral = content.length >= TELLING_RUN && /[^\w.]/.test(content);
      const tells = isLiteral || content.length >= LONG_RUN || isTelling(this.#text.slice(start, end));
      if (tells && source.includes(content)) this.#put(start, end - start);
    }
    for (const { 0: word, index } of this.#text.matchAll(/\S+/g)) {
      const isCode = index === 0 && word.length < LONG_RUN && /^[A-Z][A-Z0-9_]*$/.test(word);
      if (!isCode) this.#hideInProgram(word, index, source);
    }
  }

  toString(): string {
    // The code of a server's error stays: programs go by it.
    if (startsWithCode(this.#text)) this.#unshown.fill(0, 0, /^[A-Z]+/.exec(this.#text)?.[0].length);
    let shown = '';
    for (let i = 0; i < this.#text.length; i++) {
      if (this.#unshown[i] === 0) shown += this.#text[i];
      else if (this.#unshown[i - 1] !== 1) shown += UNSHOWN;
    }
    return shown;
  }

  #put(start: number, length: number): void {
    this.#unshown.fill(1, start, start + length);
  }

  #hideInProgram(word: string, at: number, source: string): void {
    for (const { 0: part, index } of [
      ...word.matchAll(/[\p{L}\p{N}_](?:.*[\p{L}\p{N}_])?/gu),
      ...word.matchAll(/\w+/g),
    ]) {
      const start = at + index;
      if (!isTelling(part) && part.length < 2 * LONG_RUN) continue;
      if (source.includes(this.#folded.slice(start, start + part.length))) this.#put(start, part.length);
    }
  }

  /** The whole secret wherever it stands as a word, and one that is no short word anywhere. */
  #hideWords(secret: string): void {
    for (let at = this.#folded.indexOf(secret); at >= 0; at = this.#folded.indexOf(secret, at + 1)) {
      const isWord = this.#isAlone(at, secret.length) && !isServerWord(secret);
      if (isWord || secret.length >= QUOTED_RUN) this.#put(at, secret.length);
    }
  }

  #hideLong(value: string): void {
    for (const [at, length] of this.#runs(value, LONG_GRAM, STRIDE)) if (length >= LONG_RUN) this.#put(at, length);
    for (const { start, end, content } of this.#quotations) {
      let length = 0;
      while (start + length < end && this.#folded[start + length] === value[length]) length++;
      if (length >= QUOTED_RUN) this.#put(start, length);
      if (content.length >= QUOTED_RUN && value.includes(content)) this.#put(start, content.length);
    }
    for (const { 0: word, index } of this.#text.matchAll(/[\p{L}\p{N}_]+/gu)) {
      const folded = this.#folded.slice(index, index + word.length);
      if (isTelling(word) && value.includes(folded)) this.#put(index, word.length);
    }
  }

  /** Whether it is no coincidence that a part of the text is also one of the value. */
  #givesAway(at: number, length: number, value: string, kind: 'value' | 'secret'): boolean {
    if (length >= LONG_RUN) return true;
    const isWhole = length === value.length;
    if (this.#isQuoted(at, length)) return isWhole || length >= QUOTED_RUN;
    const run = this.#text.slice(at, at + length);
    if (length >= QUOTED_RUN && /\P{ASCII}/u.test(run)) return true;
    if (length >= TELLING_RUN && (kind === 'secret' || isTelling(run))) return true;
    const isToken = isWhole ? length >= QUOTED_RUN : length >= TELLING_RUN && !/\s/.test(value);
    return isToken && this.#isAlone(at, length) && !areServerWords(run);
  }

  /** Each part of the text that is also in the value, as long as it can be. */
  *#runs(value: string, gram: number, stride: number): Generator<[at: number, length: number]> {
    const grams = this.#gramsOf(gram);
    const text = this.#folded;
    for (let i = 0; i + gram <= value.length; i += stride) {
      for (const at of grams.get(value.slice(i, i + gram)) ?? []) {
        this.#compared++;
        if (stride === 1 && i > 0 && at > 0 && value[i - 1] === text[at - 1]) continue;
        let before = 0;
        while (before < i && before < at && value[i - before - 1] === text[at - before - 1]) before++;
        let after = gram;
        while (at + after < text.length && i + after < value.length && value[i + after] === text[at + after]) after++;
        this.#compared += before + after;
        if (this.#compared > MAX_COMPARED) return void (yield [0, text.length]);
        yield [at - before, before + after];
      }
    }
  }

  #gramsOf(length: number): ReadonlyMap<string, number[]> {
    let grams = this.#grams.get(length);
    if (grams) return grams;
    grams = new Map();
    for (let i = 0; i + length <= this.#folded.length; i++) {
      const gram = this.#folded.slice(i, i + length);
      const places = grams.get(gram);
      if (places) places.push(i);
      else grams.set(gram, [i]);
    }
    this.#grams.set(length, grams);
    return grams;
  }

  #isQuoted(at: number, length: number): boolean {
    return this.#quotations.some(({ start, end }) => start <= at && at + length <= end);
  }

  #isAlone(at: number, length: number): boolean {
    return !WORD_CHARACTER.test(this.#text[at - 1] ?? '') && !WORD_CHARACTER.test(this.#text[at + length] ?? '');
  }
}

/** What stands between two of the same quotation marks, or behind one that is never closed. */
function quotationsOf(text: string): Quotation[] {
  const found: Quotation[] = [];
  for (const { 2: content = '', index } of text.matchAll(QUOTATION)) {
    if (content === '') continue;
    const whole = content.replace(CUT, '');
    const beginning = whole !== '' && whole !== content ? whole : undefined;
    found.push({ start: index + 1, end: index + 1 + content.length, content, beginning });
  }
  return found;
}

/** Whether a part of a text has a word that is none of a natural language: digits and letters, or capitals inside. */
function isTelling(part: string): boolean {
  return part
    .split(/\s+/)
    .some(
      (word) =>
        word.length >= TELLING_RUN &&
        (/\d{6}/.test(word) || (/\p{L}/u.test(word) && /\d/.test(word)) || /\p{Ll}\p{Lu}/u.test(word)),
    );
}

function areServerWords(part: string): boolean {
  return (part.toLowerCase().match(/[\p{L}\p{N}_]+/gu) ?? []).every(isServerWord);
}
