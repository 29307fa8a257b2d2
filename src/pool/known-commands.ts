import { KNOWN_COMMANDS } from './known-commands-data.js';

/** What node-redis knows of a command or subcommand. */
export interface KnownCommand {
  readonly isKeyless: boolean;
  /** As the server's COMMAND lists them; only `readonly`, `write` and `blocking`. */
  readonly flags: readonly string[];
}

let known: ReadonlyMap<string, KnownCommand> | undefined;

/** Returns every command that node-redis knows, by its upper-case name; a subcommand as `CLIENT LIST`. */
export function knownCommands(): ReadonlyMap<string, KnownCommand> {
  known ??= new Map(
    KNOWN_COMMANDS.flatMap(([traits, names]) => {
      const [keys, ...flags] = traits.split(' ');
      const command = { isKeyless: keys === 'keyless', flags };
      return names.split(/\s+/).map((name): [string, KnownCommand] => [name.replace('|', ' '), command]);
    }),
  );
  return known;
}
