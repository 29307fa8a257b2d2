import { createCluster } from 'redis';

/** What node-redis knows of a command. */
export interface KnownCommand {
  readonly isKeyless: boolean;
  /** As the server's COMMAND lists them: `readonly`, `write`, `blocking` … */
  readonly flags?: readonly string[];
}

/** What node-redis's cluster client knows of every command, by module (`std` for Redis itself) and lower-case name. */
interface ClusterClient {
  readonly _policyResolver: { readonly policies: Record<string, Record<string, KnownCommand>> };
}

/** Every command that node-redis knows, by its upper-case name. Its cluster client is made for it and never connected. */
export function knownCommands(): [name: string, command: KnownCommand][] {
  const client = createCluster({ rootNodes: [{}] }) as unknown as ClusterClient;
  return Object.entries(client._policyResolver.policies).flatMap(([module, commands]) =>
    Object.entries(commands).map(([name, command]): [string, KnownCommand] => [
      (module === 'std' ? name : `${module}.${name}`).toUpperCase(),
      command,
    ]),
  );
}
