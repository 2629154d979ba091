import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import {
  crowdedFolders,
  type Floors,
  FORBIDDEN,
  findCycle,
  importsOf,
  isLong,
  offencesAgainstTheFloors,
  ownImportsOf,
  readSources,
  withoutCommentsAndStrings,
} from './sources.js';

const PAGE = fileURLToPath(new URL('../../web', import.meta.url));
const MAX_LINES = 400;
const MAX_FILES = 15;

/** The server's contract, seen from `web/`: the page takes its types from there. */
const CONTRACT = '../src/contract/';

/** The floors of the page, top to bottom; a room may import from the floors below it only. */
const FLOORS: Floors = [
  [['main.ts']],
  [['app.ts']],
  [['panels/memory/'], ['panels/service/'], ['panels/actions/'], ['panels/jobs/']],
  [['chart/']],
  [['ui/']],
  [['data/'], ['theme.ts'], ['route.ts']],
  [[CONTRACT]],
];

/** The libraries that are sent to browsers, and their styles and fonts. */
const LIBRARIES = /^(preact(\/hooks)?|uplot(\/dist\/uPlot\.min\.css)?|@fontsource\/.+\.css)$/;

describe('web/', () => {
  const sources = readSources(PAGE);

  test('has the files that this test is about', () => {
    expect([...sources.keys()]).toEqual(expect.arrayContaining(['main.ts', 'data/live-data.ts']));
  });

  test('every import goes down, and none in a circle', () => {
    const scripts = new Map(
      [...sources].map(([file, text]) => [file, text.replaceAll(/^import '.*\.css';$/gm, '')]),
    );
    expect(offencesAgainstTheFloors(FLOORS, scripts)).toEqual([]);
    expect(findCycle(scripts)?.join(' → ')).toBeUndefined();
  });

  test('of the server come the types of the contract, through one file', () => {
    const importing = [...sources].filter(([file, text]) =>
      ownImportsOf(file, text).some((imported) => imported.startsWith(CONTRACT)),
    );
    expect(importing.map(([file]) => file)).toEqual(['data/wire.ts']);
    const code = withoutCommentsAndStrings(sources.get('data/wire.ts') ?? '');
    // A statement of any other kind would be code, which the page would then load.
    const statements = code.split(';').map((statement) => statement.trim());
    const others = statements.filter((of) => of !== '' && !/^(import|export) type\b/.test(of));
    expect(others).toEqual([]);
  });

  test('nothing of other libraries comes in', () => {
    const others = [...sources].flatMap(([file, text]) =>
      importsOf(text)
        .filter((name) => !name.startsWith('.') && !LIBRARIES.test(name))
        .map((name) => `${file} imports ${name}`),
    );
    expect(others).toEqual([]);
  });

  test(`no folder has more than ${MAX_FILES} files`, () => {
    expect(crowdedFolders(sources, MAX_FILES)).toEqual([]);
  });

  test(`no file has more than ${MAX_LINES} lines`, () => {
    const long = [...sources].filter(([, text]) => isLong(text, MAX_LINES));
    expect(long.map(([file]) => file)).toEqual([]);
  });

  test.each(FORBIDDEN)('no file uses %s', (_what, pattern) => {
    const using = [...sources].filter(([, text]) => pattern.test(withoutCommentsAndStrings(text)));
    expect(using.map(([file]) => file)).toEqual([]);
  });
});
