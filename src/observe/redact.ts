import { printable, UNSHOWN } from './printable.js';
import { type Form, parseRule, type Step } from './redact-rule.js';
import { coreRules } from './redact-rules-core.js';
import { moduleRules } from './redact-rules-modules.js';

/** A command as it may be logged. */
export interface RedactedCommand {
  /** Upper case, with the subcommand where it has one: `GET`, `CLIENT ID`. */
  readonly operation: string;
  /** The command line: what may be shown as it was sent, `?` for everything else. */
  readonly args: string[];
}

/** Arguments shown at most, the command's name included; the others are only counted. */
export const MAX_ARGS = 32;
/** No command and no keyword is longer: a longer argument is not even compared. */
const MAX_WORD = 32;
const MAX_PATH = 1024;

const FORMS: Record<Exclude<Form, 'any' | 'hidden'>, RegExp> = {
  number: /^[(#]?[+-]?(?:\d+(?:\.\d*)?(?:e[+-]?\d+)?|inf)$/i,
  id: /^(?:[*$>+-]|\(?\d+(?:-(?:\d+|\*))?)$/,
  // A filter, as in `$.users[?(@.email == "…")]`, compares with values.
  path: /^[^?]*$/,
  bound: /^\(?[+-]?(?:\d+(?:\.\d*)?(?:e[+-]?\d+)?|inf)$/i,
};

let rules: ReadonlyMap<string, readonly Step[]> | undefined;

/**
 * What may be logged of a Redis command: its name, keys, field and channel names, options, and numbers that are structure
 * (expiries, counts, cursors, increments). Values, members and their scores, messages, scripts, their arguments and
 * credentials become `?`; of a command that Lagoon does not know, everything but the name does. Arguments are escaped,
 * cut after 128 characters, and after the 32nd only counted (`… 68 more`).
 */
export function redactArgs(args: readonly (string | Buffer)[]): string[] {
  return redactCommand(args).args;
}

/** {@link redactArgs}, with the name of the operation. */
export function redactCommand(args: readonly (string | Buffer)[]): RedactedCommand {
  const [operation, rule, start] = lookUp(args);
  const line = new Line(args, start, operation !== UNSHOWN);
  if (rule) line.follow(rule);
  return { operation, args: line.finish() };
}

/** Every command of the table, in upper case; a subcommand after a space. */
export function knownOperations(): string[] {
  return [...table().keys()];
}

function table(): ReadonlyMap<string, readonly Step[]> {
  if (rules) return rules;
  const built = new Map<string, readonly Step[]>();
  for (const [rule, names] of [...coreRules, ...moduleRules]) {
    const steps = parseRule(rule);
    for (const name of names.split(/\s+/)) built.set(name.replace('|', ' '), steps);
  }
  rules = built;
  return built;
}

/** The operation, its rule if it has one, and where the arguments that the rule describes begin. */
function lookUp(args: readonly (string | Buffer)[]): [string, readonly Step[] | undefined, number] {
  const name = word(args[0]);
  // What does not look like a command is perhaps a value that slipped into its place.
  if (!/^[A-Z][A-Z0-9._-]*$/.test(name)) return [UNSHOWN, undefined, 1];
  const withSubcommand = `${name} ${word(args[1])}`;
  const subcommandRule = table().get(withSubcommand);
  return subcommandRule ? [withSubcommand, subcommandRule, 2] : [name, table().get(name), 1];
}

/** An argument as a word of the command language, or `''` where it cannot be one. */
function word(arg: string | Buffer | undefined): string {
  if (arg === undefined || arg.length > MAX_WORD) return '';
  const text = typeof arg === 'string' ? arg : Buffer.isBuffer(arg) ? arg.toString('latin1') : '';
  return /^[\x21-\x7e]*$/.test(text) ? text.toUpperCase() : '';
}

/** Walks a command line along its rule. What the rule does not reach stays hidden. */
class Line {
  readonly #args: readonly (string | Buffer)[];
  readonly #shown: string[] = [];
  readonly #end: number;

  constructor(args: readonly (string | Buffer)[], start: number, named: boolean) {
    this.#args = args;
    this.#end = Math.min(args.length, MAX_ARGS);
    for (let i = 0; i < Math.min(start, this.#end); i++) this.#put(named);
  }

  /** `false` once the line has ended or is not what the rule says: then nothing more can be told apart. */
  follow(steps: readonly Step[]): boolean {
    return steps.every((step) => this.#step(step));
  }

  finish(): string[] {
    while (this.#shown.length < this.#end) this.#put(false);
    const more = this.#args.length - this.#end;
    if (more > 0) this.#shown.push(`… ${more} more`);
    return this.#shown;
  }

  get #at(): number {
    return this.#shown.length;
  }

  #put(visible: boolean): void {
    const arg = this.#args[this.#at];
    this.#shown.push(visible && arg !== undefined ? printable(arg) : UNSHOWN);
  }

  #step(step: Step): boolean {
    if (this.#at >= this.#end) return false;
    switch (step.kind) {
      case 'arg':
        if (!this.#fits(step.form)) return false;
        this.#put(step.form !== 'hidden');
        return true;
      case 'while':
        while (this.#at < this.#end && this.#fits(step.form)) this.#put(step.form !== 'hidden');
        return true;
      case 'rest':
        while (this.follow(step.steps));
        return false;
      case 'counted':
        return this.#counted(step.steps, step.width);
      case 'approximation':
        if (['~', '='].includes(word(this.#args[this.#at]))) this.#put(true);
        return true;
      case 'options':
        return this.#options(step.options, step.many);
    }
  }

  #fits(form: Form): boolean {
    if (form === 'any' || form === 'hidden') return true;
    const arg = this.#args[this.#at] as string | Buffer;
    // BYLEX comes after the bounds and turns them into members.
    if (form === 'bound' && this.#args.slice(this.#at).some((later) => word(later) === 'BYLEX')) return false;
    if (arg.length > (form === 'path' ? MAX_PATH : MAX_WORD)) return false;
    return FORMS[form].test(typeof arg === 'string' ? arg : arg.toString('latin1'));
  }

  #counted(steps: readonly Step[], width: number): boolean {
    const text = word(this.#args[this.#at]);
    const count = /^\d+$/.test(text) ? Number(text) : Number.NaN;
    // With a count that cannot be right, nobody knows where the keys end.
    if (!(count * width < this.#args.length - this.#at)) return false;
    this.#put(true);
    for (let i = 0; i < count; i++) if (!this.follow(steps)) return false;
    return true;
  }

  #options(options: ReadonlyMap<string, readonly Step[]>, many: boolean): boolean {
    do {
      const steps = options.get(word(this.#args[this.#at]));
      if (!steps) return true;
      this.#put(true);
      if (!this.follow(steps)) return false;
    } while (many && this.#at < this.#end);
    return true;
  }
}
