/** What a name that no setting has was probably meant to be, and which variables are others'. */

/**
 * Letters to delete from and insert into `a` to get `b`. Unlike Levenshtein's distance a replaced letter counts twice, so
 * that `PORT` is nearer to `HTTP_PORT` than to `DATA`.
 */
export function editDistance(a: string, b: string): number {
  // Length of the longest common subsequence, a row at a time.
  let row = new Array<number>(b.length + 1).fill(0);
  for (const letter of a) {
    const next = [0];
    for (let column = 1; column <= b.length; column += 1) {
      const isSame = letter === b[column - 1];
      const best = isSame
        ? (row[column - 1] ?? 0) + 1
        : Math.max(row[column] ?? 0, next[column - 1] ?? 0);
      next.push(best);
    }
    row = next;
  }
  return a.length + b.length - 2 * (row[b.length] ?? 0);
}

/** Longest name that is compared: the distance takes time in proportion to it. */
const MOST_LETTERS = 200;

/** The known name with the least {@link editDistance} from `name`, the first of several. */
export function nearestName(name: string, known: readonly string[]): string {
  const cut = name.slice(0, MOST_LETTERS);
  let nearest = '';
  let least = Number.POSITIVE_INFINITY;
  for (const candidate of known) {
    const distance = editDistance(cut, candidate);
    if (distance < least) [nearest, least] = [candidate, distance];
  }
  return nearest;
}

/**
 * Whether Kubernetes has set this variable for a Service, as it does for every pod of the namespace: a Service `plimsoll-http`
 * gives `PLIMSOLL_HTTP_PORT=tcp://10.0.0.1:80` beside `PLIMSOLL_HTTP_SERVICE_HOST` (kubernetes.io, "Accessing the Service").
 */
export function isServiceLink(
  name: string,
  environment: Readonly<Record<string, string | undefined>>,
): boolean {
  const service = /^(.+)_PORT$/.exec(name)?.[1];
  if (service === undefined || environment[`${service}_SERVICE_HOST`] === undefined) return false;
  return /^(tcp|udp|sctp):\/\//.test(environment[name] ?? '');
}
