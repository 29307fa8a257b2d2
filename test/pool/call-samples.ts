import { signatureOf } from '../../src/pool/call-check.js';
import type { Parameter, Shape } from '../../src/pool/call-shape.js';

/** Arguments of commands that want more of them than their types say. */
const SAMPLES: Readonly<Record<string, readonly unknown[]>> = {
  arDelRange: ['key', [[1, 2]]],
};

/**
 * Arguments for a typed command, made of what the types say: every argument and every option is there, and a text is the name of
 * what it is for (`key`, `options.BY`), so that it can be found again.
 *
 * @param lists whether what may be one or several is several.
 * @param call which of the calls that the command can be.
 */
export function sampleCall(name: string, lists = false, call = 0): unknown[] {
  const parameters = signatureOf(name).calls[call] as readonly Parameter[];
  return [...(SAMPLES[name] ?? parameters.map((parameter) => sampleOf(parameter, parameter.name, lists)))];
}

function sampleOf(shape: Shape, path: string, lists: boolean): unknown {
  const { array, record, options } = shape;
  if (array && (lists || !(shape.string || options || record))) {
    return [sampleOf(array, `${path}[0]`, lists), sampleOf(array, `${path}[1]`, lists)];
  }
  if (options) {
    return Object.fromEntries([...options].map(([name, of]) => [name, sampleOf(of, `${path}.${name}`, lists)]));
  }
  if (record) return { [`${path}.a`]: sampleOf(record, `${path}.a's value`, lists) };
  if (shape.any || shape.string) return path;
  if (shape.number) return 1;
  if (shape.date) return new Date(1);
  if (shape.buffer) return Buffer.from(path);
  return shape.boolean;
}
