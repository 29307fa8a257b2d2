/** What an algorithm adds to the scripts, in Lua. */
export interface Algorithm {
  /** Functions of the rule's letter in the tables `read`, `charge`, `amend`, `wait` and `reset`: all that can be asked. */
  readonly whole: string;
  /** What most calls are, served at once: see `fastPath`. */
  readonly fast: FastPath;
}

export interface FastPath {
  /** Once for all keys. */
  readonly before: string;
  /** For key number `i`, of which `n` calls of cost 1 are asked: sets `reply`, or leaves the key to the others. */
  readonly each: string;
}
