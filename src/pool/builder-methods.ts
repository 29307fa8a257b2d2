import { type CommandArgs, type Encoder, type MultiBuilder, multiClass } from './node-redis.js';

/** A MULTI builder whose commands are encoded as those of its pool. */
interface OwnBuilder extends MultiBuilder {
  readonly encoder: Encoder;
}

type Encode = (...args: unknown[]) => CommandArgs;

/**
 * Gives the prototype of a builder every method and module of node-redis's builder, encoded by the builder's `encoder`: so a
 * command in a MULTI has the same keys and the same reply as one that is sent by itself.
 */
export function attachToBuilder(prototype: MultiBuilder): void {
  const base: object = multiClass().prototype;
  const probe = Object.create(base);
  for (const [name, property] of Object.entries(Object.getOwnPropertyDescriptors(base))) {
    if (property.get) defineNamespace(prototype, name, Object.keys(Object.getPrototypeOf(probe[name])));
    else if (name !== 'constructor' && !Object.hasOwn(prototype, name)) defineMethod(prototype, name);
  }
}

function defineMethod(prototype: MultiBuilder, name: string): void {
  function method(this: OwnBuilder, ...args: unknown[]): OwnBuilder {
    const { encoder } = this;
    const encoded = (encoder[name] as Encode)(...args);
    return this.addCommand(encoded, encoder.transform);
  }
  Object.defineProperty(prototype, name, { value: method, writable: true, configurable: true });
}

function defineNamespace(prototype: MultiBuilder, module: string, names: readonly string[]): void {
  const functions = Object.fromEntries(names.map((name) => [name, moduleFunction(module, name)]));
  Object.defineProperty(prototype, module, {
    configurable: true,
    get(this: OwnBuilder) {
      return Object.create(functions, { builder: { value: this } });
    },
  });
}

function moduleFunction(module: string, name: string) {
  return function (this: { readonly builder: OwnBuilder }, ...args: unknown[]): OwnBuilder {
    const { builder } = this;
    const { encoder } = builder;
    const namespace = encoder[module] as Record<string, Encode>;
    const encoded = (namespace[name] as Encode)(...args);
    return builder.addCommand(encoded, encoder.transform);
  };
}
