import { type CallSignature, signatureOf } from './call-check.js';
import { assertSendable, callError } from './call-errors.js';
import { type CommandArgs, type Encoder, type MultiBuilder, multiClass } from './node-redis.js';

/** A MULTI builder whose commands are encoded as those of its pool. */
interface OwnBuilder extends MultiBuilder {
  readonly encoder: Encoder;
  failWith(error: unknown): this;
}

type Encode = (...args: unknown[]) => CommandArgs;
/** An encoder, or one of its modules. */
type Encodes = Record<string, Encode>;

/**
 * Gives the prototype of a builder every method and module of node-redis's builder, encoded by the builder's `encoder`: so a
 * command in a MULTI is checked, has the keys and gets the reply of one that is sent by itself.
 */
export function attachToBuilder(prototype: MultiBuilder): void {
  const base: object = multiClass().prototype;
  const probe = Object.create(base);
  const typedName = typedNames(base);
  for (const [name, property] of Object.entries(Object.getOwnPropertyDescriptors(base))) {
    if (property.get) defineNamespace(prototype, name, Object.getPrototypeOf(probe[name]));
    else if (name !== 'constructor' && !Object.hasOwn(prototype, name)) defineMethod(prototype, name, typedName(name));
  }
}

function defineMethod(prototype: MultiBuilder, name: string, typedName: string): void {
  const signature = signatureOf(typedName);
  function method(this: OwnBuilder, ...args: unknown[]): OwnBuilder {
    return add(this, signature, this.encoder as Encodes, name, args);
  }
  Object.defineProperty(prototype, name, { value: method, writable: true, configurable: true });
}

function defineNamespace(prototype: MultiBuilder, module: string, functions: object): void {
  const typedName = typedNames(functions);
  const own = Object.fromEntries(
    Object.keys(functions).map((name) => [name, moduleFunction(module, name, typedName(name))]),
  );
  Object.defineProperty(prototype, module, {
    configurable: true,
    get(this: OwnBuilder) {
      return Object.create(own, { builder: { value: this } });
    },
  });
}

function moduleFunction(module: string, name: string, typedName: string) {
  const signature = signatureOf(`${module}.${typedName}`);
  return function (this: { readonly builder: OwnBuilder }, ...args: unknown[]): OwnBuilder {
    return add(this.builder, signature, this.builder.encoder[module] as Encodes, name, args);
  };
}

function add(
  builder: OwnBuilder,
  signature: CallSignature,
  encodes: Encodes,
  name: string,
  args: unknown[],
): OwnBuilder {
  const { encoder } = builder;
  let encoded: CommandArgs;
  try {
    if (args.length > signature.free) signature.check(...args);
    encoded = (encodes[name] as Encode)(...args);
    assertSendable(encoded);
  } catch (error) {
    return builder.failWith(callError(signature, error as Error, ...args));
  }
  return builder.addCommand(encoded, encoder.transform);
}

/** By which name the table knows a method, which the builder also has in capitals: `ACL_CAT` is `aclCat`. */
function typedNames(functions: object): (name: string) => string {
  const plain = (name: string) => name.replaceAll(/[_-]/g, '').toLowerCase();
  const typed = Object.keys(functions).filter((name) => name !== name.toUpperCase());
  const byPlain = new Map(typed.map((name) => [plain(name), name]));
  return (name) => byPlain.get(plain(name)) ?? name;
}
