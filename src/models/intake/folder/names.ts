/**
 * How folder names become ids, and ids folder names, and which ids are near a wrong one. Pure.
 *
 * An id is the path of the folder below the models folder, with `/` between the parts. Each part is the folder's
 * name in Unicode's composed form (NFC), so that it does not matter how a file system writes accents. What cannot
 * stand in an address or a log line (control characters, line separators, `\`, and `%` itself) is written as `%XX`
 * of its UTF-8 bytes. In the address of a route an id is URL-encoded as any other text.
 */
import { createHash } from 'node:crypto';

const UNSAFE = /[\p{Cc}\u2028\u2029\\%]/gu;

/** The part of an id that a folder's name makes. */
export function idPartOf(folderName: string): string {
  return folderName.normalize('NFC').replace(UNSAFE, (character) => encodeURIComponent(character));
}

/** The folder's name that an id's part stands for; undefined if none can. */
export function folderNameOf(part: string): string | undefined {
  if (part === '' || part === '.' || part === '..' || part.length > MAX_NAME) return undefined;
  const name = decoded(part);
  return /[/\0]/.test(name) || name === '.' || name === '..' ? undefined : name;
}

/** Longest name of a folder on the usual file systems, in bytes. */
const MAX_NAME = 255;

function decoded(part: string): string {
  try {
    return part.replace(/(?:%[0-9A-Fa-f]{2})+/g, (escaped) => decodeURIComponent(escaped));
  } catch {
    return part;
  }
}

const HUB_FOLDER = /^models--(.+)$/;

/** The parts of the id that a folder of Hugging Face's cache stands for: `models--org--name` is `org/name`. */
export function hubIdOf(folderName: string): readonly string[] | undefined {
  return HUB_FOLDER.exec(folderName)?.[1]?.split('--').map(idPartOf);
}

/** Names that can stand for a folder as they are, `/` aside. */
const PLAIN_ID = /^[A-Za-z0-9_][A-Za-z0-9._-]*(?:\/[A-Za-z0-9_][A-Za-z0-9._-]*)*$/;
const LONGEST_PLAIN = 150;
const HASH_DIGITS = 16;

/** The folder below `mapped/` for a model: no two ids share one, and every file system takes it. */
export function folderNameOfForm(id: string): string {
  if (PLAIN_ID.test(id) && id.length <= LONGEST_PLAIN) return id.replaceAll('/', '~');
  const readable = id.replace(/[^A-Za-z0-9._-]+/g, '-').slice(0, 60);
  const digest = createHash('sha256').update(id).digest('hex').slice(0, HASH_DIGITS);
  // The sign keeps it apart from every plain name.
  return `=${readable}-${digest}`;
}

/** Ids with as many wrong letters as this, or a third of the letters, are near. */
const LEAST_NEAR = 2;

/** Ids near a wrong one, the nearest first: few wrong letters, or the same last part, or one begins with the other. */
export function nearIds(wrong: string, ids: readonly string[], most = 5): readonly string[] {
  const wanted = plain(wrong);
  const last = lastPart(wanted);
  const ranked = ids.flatMap((id) => {
    const other = plain(id);
    const limit = Math.max(LEAST_NEAR, Math.floor(Math.max(wanted.length, other.length) / 3));
    const distance = editDistance(wanted, other, limit);
    if (distance <= limit && distance < Math.max(wanted.length, other.length)) {
      return [{ id, distance }];
    }
    const isPart = wanted.length > 1 && (other.startsWith(wanted) || wanted.startsWith(other));
    return lastPart(other) === last || isPart ? [{ id, distance: limit + 1 }] : [];
  });
  ranked.sort((a, b) => a.distance - b.distance || (a.id < b.id ? -1 : 1));
  return ranked.slice(0, most).map(({ id }) => id);
}

/** Letters that people mistake count as the same: case, and the signs between words. */
function plain(id: string): string {
  return id
    .normalize('NFC')
    .slice(0, MAX_NAME)
    .toLowerCase()
    .replace(/[\s._-]+/g, '-');
}

function lastPart(id: string): string {
  return id.slice(id.lastIndexOf('/') + 1);
}

/**
 * Letters to insert, delete, replace, or swap with their neighbour to make one text of the other (optimal string
 * alignment: Damerau 1964, Wagner and Fischer 1974); any number above `limit` once it is over that.
 */
export function editDistance(left: string, right: string, limit: number): number {
  if (Math.abs(left.length - right.length) > limit) return limit + 1;
  let before: readonly number[] = [];
  let previous: readonly number[] = Array.from({ length: right.length + 1 }, (_, at) => at);
  for (let row = 1; row <= left.length; row += 1) {
    const current = [row];
    for (let column = 1; column <= right.length; column += 1) {
      const isSame = left[row - 1] === right[column - 1];
      const costs = [
        (previous[column] ?? 0) + 1,
        (current[column - 1] ?? 0) + 1,
        (previous[column - 1] ?? 0) + (isSame ? 0 : 1),
      ];
      const isSwap = left[row - 1] === right[column - 2] && left[row - 2] === right[column - 1];
      if (row > 1 && column > 1 && isSwap) costs.push((before[column - 2] ?? 0) + 1);
      current.push(Math.min(...costs));
    }
    if (Math.min(...current) > limit) return limit + 1;
    [before, previous] = [previous, current];
  }
  return previous[right.length] ?? limit + 1;
}
