import { run, succeeds } from './run.js';

/** A package manager: how to see that it is there, and the shell script that installs the server. */
interface PackageManager {
  readonly command: string;
  readonly asRoot: boolean;
  readonly script: string;
}

/*
 * Debian starts a service as soon as it is installed, unless policy-rc.d says no, and again with the next boot, unless
 * it is disabled. The package lists may be missing (images drop them), so a failure is tried again with new ones.
 */
const APT = `
set -e
export DEBIAN_FRONTEND=noninteractive
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
  trap 'rm -f "$policy"' EXIT
  trap 'exit 130' INT TERM HUP
  printf '#!/bin/sh\\nexit 101\\n' > "$policy"
  chmod 755 "$policy"
fi
install='apt-get install -y --no-install-recommends redis-server'
$install || { apt-get update && $install; }
if command -v systemctl > /dev/null; then systemctl disable redis-server > /dev/null 2>&1 || true; fi
`;

const PACKAGE_MANAGERS: readonly PackageManager[] = [
  { command: 'apt-get', asRoot: true, script: APT },
  { command: 'apk', asRoot: true, script: 'apk add --no-cache redis || apk add --no-cache valkey' },
  { command: 'dnf', asRoot: true, script: 'dnf install -y redis || dnf install -y valkey' },
  { command: 'brew', asRoot: false, script: 'brew install redis' },
];

/**
 * Installs `redis-server` by the machine's package manager.
 *
 * @throws {Error} if there is none, or it may not be used, or it fails.
 */
export async function installPackage(): Promise<boolean> {
  const manager = PACKAGE_MANAGERS.find(({ command }) => succeeds('/bin/sh', ['-c', `command -v ${command}`]));
  if (!manager) throw new Error('no package manager that is known here (apt-get, apk, dnf, brew)');
  const shell = manager.asRoot ? rootShell() : ['/bin/sh'];
  if (!shell) throw new Error(`${manager.command} needs root, or a sudo that asks for no password`);
  const [command = '/bin/sh', ...before] = shell;
  await run(`installing redis-server with ${manager.command}`, command, [...before, '-c', manager.script]);
  return true;
}

function rootShell(): string[] | undefined {
  if (process.getuid?.() === 0) return ['/bin/sh'];
  return succeeds('sudo', ['-n', 'true']) ? ['sudo', '-n', '/bin/sh'] : undefined;
}
