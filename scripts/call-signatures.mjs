/*
 * Reads from node-redis's type declarations which arguments each typed command takes. Nothing here runs a command: the TypeScript
 * compiler of the project is asked for the types of `IsolatedCommands`, which has every command that a pool or a connection has.
 */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { API, NodeBuilderFlags, SignatureKind, SymbolFlags, TypeFlags } from 'typescript/unstable/sync';
import { root } from './process.mjs';

const PROBE = `
import type { IsolatedCommands } from ${JSON.stringify(join(root, 'src/pool/command-types.js'))};
export declare const commands: IsolatedCommands;
`;
const MODULES = ['bf', 'cf', 'cms', 'ft', 'json', 'tDigest', 'topK', 'ts'];
/** The one type that contains itself: it takes whatever can be JSON. */
const JSON_TYPE = 'RedisJSON';

/**
 * The signatures of all typed commands, by name (`set`, `json.set`): a list of calls, each with its parameters. A parameter has a
 * name, and the kinds of value that it takes (see {@link TypeReader.kindsOf}).
 */
export async function readSignatures() {
  const folder = await mkdtemp(join(tmpdir(), 'lagoon-signatures-'));
  const api = new API({ cwd: root });
  try {
    const config = join(folder, 'tsconfig.json');
    await writeFile(join(folder, 'probe.ts'), PROBE);
    await writeFile(config, JSON.stringify({ extends: join(root, 'tsconfig.json'), include: ['probe.ts'] }));
    const project = api.updateSnapshot({ openProject: config }).getProject(config);
    const { checker, program } = project;
    const [commands] = checker.getExportsOfModule(
      checker.getSymbolAtLocation(program.getSourceFile(join(folder, 'probe.ts'))),
    );
    return new TypeReader(checker).signaturesOf(checker.getTypeOfSymbol(commands));
  } finally {
    api.close();
    await rm(folder, { recursive: true, force: true });
  }
}

class TypeReader {
  #checker;

  constructor(checker) {
    this.#checker = checker;
  }

  signaturesOf(commands) {
    const signatures = {};
    for (const property of this.#checker.getPropertiesOfType(commands)) {
      const type = this.#checker.getTypeOfSymbol(property);
      if (!MODULES.includes(property.name)) signatures[property.name] = this.#callsOf(type);
      else {
        for (const fn of this.#checker.getPropertiesOfType(type)) {
          if (fn.name !== fn.name.toUpperCase()) {
            signatures[`${property.name}.${fn.name}`] = this.#callsOf(this.#checker.getTypeOfSymbol(fn));
          }
        }
      }
    }
    return signatures;
  }

  #callsOf(type) {
    return this.#checker.getSignaturesOfType(type, SignatureKind.Call).flatMap((signature) => {
      const parameters = signature.getParameters();
      const last = parameters.at(-1);
      const isRest = signature.hasRestParameter;
      const before = (isRest ? parameters.slice(0, -1) : parameters).map((parameter) => {
        const kinds = this.kindsOf(this.#checker.getTypeOfSymbol(parameter));
        return { name: parameter.name, kinds, optional: kinds.undefined === true };
      });
      if (!isRest) return [before];
      return this.#tuplesOf(this.#checker.getTypeOfSymbol(last)).map((tuple) => [...before, ...tuple]);
    });
  }

  /** The parameters that a rest parameter stands for: one list for each tuple of its type. */
  #tuplesOf(type) {
    if (type.flags & TypeFlags.Union) return type.getTypes().flatMap((each) => this.#tuplesOf(each));
    if (!this.#checker.isTupleType(type)) return [[{ name: 'args', rest: true, kinds: this.kindsOf(type).array }]];
    const labels = labelsOf(this.#checker.typeToString(type, undefined, NodeBuilderFlags.NoTruncation));
    const flags = type.getTarget().elementFlags;
    return [
      this.#checker.getTypeArguments(type).map((element, i) => ({
        name: labels[i] ?? `argument${i + 1}`,
        kinds: this.kindsOf(element),
        ...(flags[i] === 2 && { optional: true }),
        ...(flags[i] > 2 && { rest: true }),
      })),
    ];
  }

  /**
   * What kinds of value a type takes: `string`, `number`, `boolean`, `buffer`, `date`, `map`, `any`, `undefined`; `literals` for texts
   * that are named; `array` for what its elements are; `record` for the values of an object with any names; `options` for an object with
   * certain names, each with its kinds.
   */
  kindsOf(type) {
    const kinds = {};
    this.#add(type, kinds);
    return kinds;
  }

  #add(type, kinds) {
    const { flags } = type;
    if (flags & (TypeFlags.Any | TypeFlags.Unknown) || type.getAliasSymbol()?.name === JSON_TYPE) kinds.any = true;
    else if (flags & TypeFlags.Union) for (const each of type.getTypes()) this.#add(each, kinds);
    else if (flags & TypeFlags.StringLiteral) kinds.literals = [...(kinds.literals ?? []), type.value];
    else if (flags & TypeFlags.StringLike) kinds.string = true;
    else if (flags & (TypeFlags.NumberLike | TypeFlags.BigIntLike)) kinds.number = true;
    else if (flags & TypeFlags.BooleanLike) kinds.boolean = true;
    else if (flags & (TypeFlags.Undefined | TypeFlags.Void)) kinds.undefined = true;
    else if (flags & TypeFlags.Null) kinds.null = true;
    else if (flags & TypeFlags.Never) return;
    else if (isNamedString(type)) kinds.string = true;
    else if (flags & (TypeFlags.Object | TypeFlags.Intersection)) this.#addObject(type, kinds);
    else throw new Error(`no kind for ${this.#checker.typeToString(type)}`);
  }

  #addObject(type, kinds) {
    const name = type.getSymbol()?.name;
    if (name === 'Buffer' || name === 'Uint8Array') kinds.buffer = true;
    else if (name === 'Date') kinds.date = true;
    else if (name === 'Map') kinds.map = true;
    else if (this.#checker.isTupleType(type) || this.#checker.isArrayType(type)) {
      kinds.array ??= {};
      for (const element of this.#checker.getTypeArguments(type)) this.#add(element, kinds.array);
    } else {
      const [index] = this.#checker.getIndexInfosOfType(type);
      if (index) {
        kinds.record ??= {};
        this.#add(index.valueType, kinds.record);
      }
      const properties = this.#checker.getPropertiesOfType(type);
      if (!index || properties.length > 0) kinds.options ??= {};
      for (const property of properties) {
        kinds.options[property.name] ??= {};
        const option = kinds.options[property.name];
        this.#add(this.#checker.getTypeOfSymbol(property), option);
        if (property.flags & SymbolFlags.Optional) option.undefined = true;
      }
    }
  }
}

/** `string & {}`: any text, beside others that are named. */
function isNamedString(type) {
  return type.flags & TypeFlags.Intersection && type.getTypes().some((each) => each.flags & TypeFlags.StringLike);
}

/** The names in `[key: RedisArgument, options?: { a: [b: string] } | undefined]`: those of its own elements. */
function labelsOf(text) {
  const labels = [];
  let depth = 0;
  let start = 1;
  for (let i = 0; i < text.length; i++) {
    if ('[{(<'.includes(text[i])) depth++;
    // The `>` of an arrow ends nothing.
    else if (']})'.includes(text[i]) || (text[i] === '>' && text[i - 1] !== '=')) depth--;
    if ((text[i] === ',' && depth === 1) || depth === 0) {
      const label = /^\s*(?:\.\.\.)?(\w+)\??:/.exec(text.slice(start, i));
      labels.push(label?.[1]);
      start = i + 1;
      if (depth === 0) return labels;
    }
  }
  return labels;
}
