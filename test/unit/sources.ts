/** What the tests of the architecture know of source files: their imports, and where they may lead. */
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';

/**
 * The floors of a house, top to bottom. A floor has rooms; a room is a folder (`http/`) or some files. A
 * file may import from its own room and from every floor below: never up, and never sideways into
 * another room of its floor.
 */
export type Floors = readonly (readonly (readonly string[])[])[];

/** Files by their path below their folder, with their text. */
export type Sources = ReadonlyMap<string, string>;

interface Place {
  readonly floor: number;
  readonly room: string;
}

function placeOf(floors: Floors, file: string): Place | undefined {
  for (const [floor, rooms] of floors.entries()) {
    for (const room of rooms) {
      const isIn = room.some((part) =>
        part.endsWith('/') ? file.startsWith(part) : file === part,
      );
      if (isIn) return { floor, room: room.join(', ') };
    }
  }
  return undefined;
}

const STRINGS_AND_COMMENTS =
  /('(?:[^'\\\n]|\\.)*'|"(?:[^"\\\n]|\\.)*"|`(?:[^`\\]|\\.)*`)|\/\*[\s\S]*?\*\/|\/\/[^\n]*/g;

function withoutComments(text: string): string {
  return text.replaceAll(STRINGS_AND_COMMENTS, (_all, string: string | undefined) => string ?? '');
}

export function withoutCommentsAndStrings(text: string): string {
  return text.replaceAll(STRINGS_AND_COMMENTS, (_all, string: string | undefined) =>
    string === undefined ? '' : "''",
  );
}

const IMPORTS = [
  /^\s*(?:import|export)\b[^'";]*?\bfrom\s*['"]([^'"]+)['"]/gm,
  /^\s*import\s*['"]([^'"]+)['"]/gm,
  /\b(?:import|require)\s*\(\s*['"]([^'"]+)['"]\s*[,)]/g,
];

/** Everything that a file imports, types too, as it is written. */
export function importsOf(text: string): readonly string[] {
  const code = withoutComments(text);
  const found = IMPORTS.flatMap((pattern) => [...code.matchAll(pattern)].map((match) => match[1]));
  return [...new Set(found.filter((name) => name !== undefined))];
}

/** Files of ours that a file imports. */
export function ownImportsOf(file: string, text: string): readonly string[] {
  return importsOf(text)
    .filter((name) => name.startsWith('.'))
    .map((name) => path.posix.join(path.posix.dirname(file), name).replace(/\.js$/, '.ts'));
}

export function offencesAgainstTheFloors(floors: Floors, sources: Sources): readonly string[] {
  const offences: string[] = [];
  for (const [file, text] of sources) {
    const from = placeOf(floors, file);
    if (from === undefined) {
      offences.push(`${file} is in no room: give it one in FLOORS, and in docs`);
      continue;
    }
    for (const imported of ownImportsOf(file, text)) {
      const to = placeOf(floors, imported);
      if (to === undefined) offences.push(`${file} imports ${imported}, which is in no room`);
      else if (to.floor < from.floor) offences.push(`${file} imports ${imported}: up`);
      else if (to.floor === from.floor && to.room !== from.room) {
        offences.push(`${file} imports ${imported}: sideways`);
      }
    }
  }
  return offences;
}

/** The files of one room, their imports of other rooms left out: what the room's inner floors are held against. */
export function within(room: string, sources: Sources): Sources {
  const inside = [...sources].filter(([file]) => file.startsWith(room));
  return new Map(
    inside.map(([file, text]) => {
      const own = ownImportsOf(file, text).filter((imported) => imported.startsWith(room));
      const name = file.slice(room.length);
      const imports = own.map((imported) => {
        const relative = path.posix.relative(path.posix.dirname(name), imported.slice(room.length));
        return `import '${relative.startsWith('.') ? relative : `./${relative}`}';`;
      });
      return [name, imports.join('\n')];
    }),
  );
}

/** Folders with more than so many files of their own, with their count. */
export function crowdedFolders(sources: Sources, maxFiles: number): readonly string[] {
  const counts = new Map<string, number>();
  for (const file of sources.keys()) {
    const folder = path.posix.dirname(file);
    counts.set(folder, (counts.get(folder) ?? 0) + 1);
  }
  const crowded = [...counts].filter(([, count]) => count > maxFiles);
  return crowded.map(([folder, count]) => `${folder}: ${count} files`);
}

/** The first cycle of imports, as the files on its way. */
export function findCycle(sources: Sources): readonly string[] | undefined {
  const done = new Set<string>();
  const visit = (file: string, way: readonly string[]): readonly string[] | undefined => {
    if (way.includes(file)) return [...way.slice(way.indexOf(file)), file];
    if (done.has(file)) return undefined;
    for (const next of ownImportsOf(file, sources.get(file) ?? '')) {
      const cycle = visit(next, [...way, file]);
      if (cycle !== undefined) return cycle;
    }
    done.add(file);
    return undefined;
  };
  for (const file of sources.keys()) {
    const cycle = visit(file, []);
    if (cycle !== undefined) return cycle;
  }
  return undefined;
}

/** Imports are written without the difference between `.ts` and `.tsx`: so are the names here. */
export function readSources(folder: string): Sources {
  const names = readdirSync(folder, { recursive: true, encoding: 'utf8' });
  return new Map(
    names
      .filter((name) => /\.tsx?$/.test(name))
      .map((name) => name.replaceAll(path.sep, '/'))
      .sort()
      .map((name) => [
        name.replace(/\.tsx$/, '.ts'),
        readFileSync(path.join(folder, name), 'utf8'),
      ]),
  );
}

export function isLong(text: string, maxLines: number): boolean {
  return text.trimEnd().split('\n').length > maxLines;
}

/** What no file of ours uses, by its name. */
export const FORBIDDEN: readonly (readonly [string, RegExp])[] = [
  ['console', /\bconsole\s*\./],
  ['any', /(?:[:<,|&(]|\bas|\bextends)\s*any\b|\bany\s*(?:\[\]|>)/],
];
