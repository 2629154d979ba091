/** Whether a request comes from what watches the server: an orchestrator, a balancer, a monitoring system. */
export type IsProbe = (request: { readonly method: string; readonly url: string }) => boolean;

/** What the server itself has for them; doors declare theirs. */
const OF_THE_SERVER: readonly string[] = ['/health/live', '/health/ready', '/metrics'];

/** Stands for the id of a model, which may hold slashes. */
const ID = '{id}';

/**
 * Probes are recognised by method and address. They use addresses instead of names, so any `Host` will do, and they are
 * answered while every connection is taken.
 *
 * @param ofDoors health addresses of the open doors; `{id}` stands for any id.
 */
export function probeCheck(ofDoors: readonly string[] = []): IsProbe {
  const all = [...OF_THE_SERVER, ...ofDoors];
  const exact = new Set(all.filter((address) => !address.includes(ID)));
  const patterns = all
    .filter((address) => address.includes(ID))
    .map((address) => new RegExp(`^${address.split(ID).map(escaped).join('[^?#]+')}$`));
  return ({ method, url }) => {
    if (method !== 'GET' && method !== 'HEAD') return false;
    const end = url.search(/[?#]/);
    const address = end < 0 ? url : url.slice(0, end);
    return exact.has(address) || patterns.some((pattern) => pattern.test(address));
  };
}

function escaped(text: string): string {
  return text.replaceAll(/[.*+?^${}()|[\]\\/]/g, '\\$&');
}
