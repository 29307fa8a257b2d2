import { freePort } from './free-port.js';
import { giveUpPort } from './port-claims.js';
import type { Command } from './resp.js';
import type { Setting } from './server-config.js';

/** Where a server keeps its files. */
export interface ServerHome {
  /** The server's own folder. */
  readonly directory: string;
  /** The temporary folder that it is, or is in with those of others. */
  readonly tempFolder: string;
}

/** What a server is there for: to stand alone, or to be a part of something. */
export interface ServerRole {
  /** Its settings, besides those that every server has. */
  readonly settings: readonly Setting[];
  /** Its arguments, besides the configuration file and those of the options. */
  readonly flags: readonly string[];
  /** Whether it writes what it learns into its configuration file, which a restart must then keep. */
  readonly rewritesConfig: boolean;
  /** What it is told each time it has started, as no setting can say it. */
  readonly greeting: readonly Command[];
  /** Takes a port that it can have. */
  readonly freePort: () => Promise<number>;
  /** Gives up what `freePort` took. */
  readonly giveUpPort: (port: number) => Promise<void>;
}

export const STANDALONE: ServerRole = {
  settings: [],
  flags: [],
  rewritesConfig: false,
  greeting: [],
  freePort,
  giveUpPort,
};
