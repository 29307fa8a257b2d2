import type { RedisArgument } from 'redis';
import { InvalidArgumentError } from '../../errors.js';

/** Hash slots of a Redis Cluster. */
export const SLOTS = 16_384;

const OPEN = 0x7b;
const CLOSE = 0x7d;

/** CRC16/XMODEM of every byte. */
const TABLE = Uint16Array.from({ length: 256 }, (_, byte) => {
  let crc = byte << 8;
  for (let bit = 0; bit < 8; bit++) crc = crc & 0x8000 ? (crc << 1) ^ 0x1021 : crc << 1;
  return crc & 0xffff;
});

/** The hash slot of a key: of what stands in its first `{…}`, if that is there and not empty, or else of the whole key. */
export function slotOf(key: RedisArgument): number {
  if (typeof key === 'string') return slotOfText(key);
  if (key instanceof Uint8Array) return slotOfBytes(key);
  throw new InvalidArgumentError(`A key must be a string or a Buffer, got ${key === null ? 'null' : typeof key}`);
}

let tags: readonly string[] | undefined;

/** A short text whose hash slot is `slot`: a key with it in braces is there. There is one for each slot, always the same. */
export function tagOf(slot: number): string {
  tags ??= makeTags();
  return tags[slot] as string;
}

function makeTags(): string[] {
  const made: string[] = new Array(SLOTS);
  for (let i = 0, missing = SLOTS; missing > 0; i++) {
    const text = i.toString(36);
    const slot = slotOf(text);
    if (made[slot] !== undefined) continue;
    made[slot] = text;
    missing--;
  }
  return made;
}

// Almost every key is ASCII, whose characters are its bytes.
function slotOfText(key: string): number {
  let start = key.indexOf('{') + 1;
  let end = key.length;
  if (start > 0) {
    const close = key.indexOf('}', start);
    if (close > start) end = close;
    else start = 0;
  }
  let crc = 0;
  for (let i = start; i < end; i++) {
    const code = key.charCodeAt(i);
    if (code > 127) return slotOfBytes(Buffer.from(key));
    crc = ((crc << 8) & 0xff00) ^ (TABLE[(crc >> 8) ^ code] as number);
  }
  return crc & (SLOTS - 1);
}

function slotOfBytes(key: Uint8Array): number {
  let start = key.indexOf(OPEN) + 1;
  let end = key.length;
  if (start > 0) {
    const close = key.indexOf(CLOSE, start);
    if (close > start) end = close;
    else start = 0;
  }
  let crc = 0;
  for (let i = start; i < end; i++) {
    crc = ((crc << 8) & 0xff00) ^ (TABLE[(crc >> 8) ^ (key[i] as number)] as number);
  }
  return crc & (SLOTS - 1);
}
