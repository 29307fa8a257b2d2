/**
 * How often some commands were called since the last CONFIG RESETSTAT, whoever called them.
 *
 * @param {import('../../dist/testing/index.js').RedisServer} server
 * @param {readonly string[]} names
 */
export async function callsOf(server, names) {
  const stats = String(await server.cli('INFO', 'commandstats'));
  const calls = [...stats.matchAll(/^cmdstat_(\S+?):calls=(\d+)/gm)].filter(([, name]) => names.includes(name));
  return calls.reduce((sum, [, , times]) => sum + Number(times), 0);
}
