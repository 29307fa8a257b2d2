/** Servers to run on: those of REDIS_SERVERS (`name=path,name=path`), or else the one that all tests run on. */
export function serversUnderTest(): readonly { name: string; binary: string | undefined }[] {
  const given = process.env.REDIS_SERVERS;
  if (!given) return [{ name: 'the installed server', binary: undefined }];
  return given.split(',').map((pair) => {
    const [name = '', binary] = pair.split('=');
    return { name, binary };
  });
}
