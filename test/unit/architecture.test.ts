import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';

const SOURCE = fileURLToPath(new URL('../../src', import.meta.url));
const MAX_LINES = 400;

/**
 * The floors of the house, top to bottom. A floor has rooms; a room is a folder (`http/`) or some
 * files. A file may import from its own room and from every floor below: never up, and never
 * sideways into another room of its floor.
 */
const FLOORS: readonly (readonly (readonly string[])[])[] = [
  [['main.ts']],
  [['commands/']],
  [
    [
      'app.ts',
      'assembly.ts',
      'memory-effects.ts',
      'archive.ts',
      'archive-rows.ts',
      'interrupted.ts',
      'minute-of-readings.ts',
      'model-views.ts',
      'receipt-lines.ts',
      'worker-views.ts',
      'proof-runs.ts',
      'events.ts',
      'page-marks.ts',
      'page-state.ts',
      'log.ts',
    ],
  ],
  [['http/']],
  [['sessions/']],
  [['inference/']],
  [['cache/'], ['models/'], ['memory/'], ['store/'], ['proof/']],
  [['system/'], ['pools/']],
  [['config.ts']],
  [
    ['settings.ts', 'pool-settings.ts', 'cache-settings.ts', 'records-settings.ts'],
    ['errors.ts'],
    ['metrics.ts'],
    ['version.ts'],
  ],
];

/** Model code: it is loaded in worker and preparer processes only, which are forked. */
const MODEL_CODE = ['onnxruntime-node', '@huggingface/tokenizers'];
const MAIN = 'main.ts';
const FORKED = ['inference/worker-main.ts', 'models/preparer-main.ts'];

/** Files by their path below src/, with their text. */
type Sources = ReadonlyMap<string, string>;

interface Place {
  readonly floor: number;
  readonly room: string;
}

function placeOf(file: string): Place | undefined {
  for (const [floor, rooms] of FLOORS.entries()) {
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

function withoutCommentsAndStrings(text: string): string {
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
function importsOf(text: string): readonly string[] {
  const code = withoutComments(text);
  const found = IMPORTS.flatMap((pattern) => [...code.matchAll(pattern)].map((match) => match[1]));
  return [...new Set(found.filter((name) => name !== undefined))];
}

/** Files of ours that a file imports. */
function ownImportsOf(file: string, text: string): readonly string[] {
  return importsOf(text)
    .filter((name) => name.startsWith('.'))
    .map((name) => path.posix.join(path.posix.dirname(file), name).replace(/\.js$/, '.ts'));
}

function offencesAgainstTheFloors(sources: Sources): readonly string[] {
  const offences: string[] = [];
  for (const [file, text] of sources) {
    const from = placeOf(file);
    if (from === undefined) {
      offences.push(`${file} is in no room: give it one in FLOORS, and in docs`);
      continue;
    }
    for (const imported of ownImportsOf(file, text)) {
      const to = placeOf(imported);
      if (to === undefined) offences.push(`${file} imports ${imported}, which is in no room`);
      else if (to.floor < from.floor) offences.push(`${file} imports ${imported}: up`);
      else if (to.floor === from.floor && to.room !== from.room) {
        offences.push(`${file} imports ${imported}: sideways`);
      }
    }
  }
  return offences;
}

/** The first cycle of imports, as the files on its way. */
function findCycle(sources: Sources): readonly string[] | undefined {
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

/** Ways from a file to model code, over any import, types too. */
function waysToModelCode(sources: Sources, start: string): readonly string[] {
  const ways: string[] = [];
  const seen = new Set<string>();
  const visit = (file: string, way: readonly string[]): void => {
    if (seen.has(file)) return;
    seen.add(file);
    const text = sources.get(file) ?? '';
    for (const name of importsOf(text)) {
      // The version in a package's manifest is data, not code.
      const isModelCode = MODEL_CODE.some((code) => name === code || name.startsWith(`${code}/`));
      if (isModelCode && !name.endsWith('/package.json')) {
        ways.push([...way, file, name].join(' → '));
      }
    }
    for (const next of ownImportsOf(file, text)) visit(next, [...way, file]);
  };
  visit(start, []);
  return ways;
}

function readSources(): Sources {
  const names = readdirSync(SOURCE, { recursive: true, encoding: 'utf8' });
  return new Map(
    names
      .filter((name) => name.endsWith('.ts'))
      .map((name) => name.replaceAll(path.sep, '/'))
      .sort()
      .map((name) => [name, readFileSync(path.join(SOURCE, name), 'utf8')]),
  );
}

describe('src/', () => {
  const sources = readSources();

  test('has the files that this test is about', () => {
    expect([...sources.keys()]).toEqual(expect.arrayContaining([MAIN, 'app.ts', ...FORKED]));
  });

  test('every import goes down', () => {
    expect(offencesAgainstTheFloors(sources)).toEqual([]);
  });

  test('every import of ours leads to a file', () => {
    const lost = [...sources].flatMap(([file, text]) =>
      ownImportsOf(file, text)
        .filter((imported) => !sources.has(imported))
        .map((imported) => `${file} imports ${imported}`),
    );
    expect(lost).toEqual([]);
  });

  test('no files import one another in a circle', () => {
    expect(findCycle(sources)?.join(' → ')).toBeUndefined();
  });

  test('the main process loads no model code; the forked processes do', () => {
    expect(waysToModelCode(sources, MAIN)).toEqual([]);
    for (const file of FORKED) expect(waysToModelCode(sources, file)).not.toEqual([]);
  });

  test(`no file has more than ${MAX_LINES} lines`, () => {
    const long = [...sources].filter(([, text]) => text.trimEnd().split('\n').length > MAX_LINES);
    expect(long.map(([file]) => file)).toEqual([]);
  });

  test.each([
    ['console', /\bconsole\s*\./],
    ['any', /(?:[:<,|&(]|\bas|\bextends)\s*any\b|\bany\s*(?:\[\]|>)/],
  ])('no file uses %s', (_what, pattern) => {
    const using = [...sources].filter(([, text]) => pattern.test(withoutCommentsAndStrings(text)));
    expect(using.map(([file]) => file)).toEqual([]);
  });
});

describe('this test sees', () => {
  const file = (name: string, text: string): Sources => new Map([[name, text]]);

  test.each([
    ["import { a } from './x.js';", ['./x.js']],
    ["import type { A } from './x.js';", ['./x.js']],
    ["import {\n  a,\n  type B,\n} from '../y/x.js';", ['../y/x.js']],
    ["import './x.js';", ['./x.js']],
    ["export { a } from './x.js';\nexport * from './y.js';", ['./x.js', './y.js']],
    ["const a = await import('./x.js');", ['./x.js']],
    ["type A = import('./x.js').A;", ['./x.js']],
    ["const a = require('onnxruntime-node');", ['onnxruntime-node']],
    ["// import { a } from './x.js';\n/* import './y.js' */", []],
    ["const a = 'http://x'; // from './y.js'", []],
  ])('the imports of %j', (text, names) => {
    expect([...importsOf(text)].sort()).toEqual(names);
  });

  test.each([
    ['http/a.ts', "import type { A } from '../app.js';", 'http/a.ts imports app.ts: up'],
    [
      'cache/a.ts',
      "import { A } from '../models/b.js';",
      'cache/a.ts imports models/b.ts: sideways',
    ],
    ['errors.ts', "import { A } from './settings.js';", 'errors.ts imports settings.ts: sideways'],
    ['settings.ts', "import { A } from './config.js';", 'settings.ts imports config.ts: up'],
    ['utils/a.ts', '', 'utils/a.ts is in no room: give it one in FLOORS, and in docs'],
  ])('an offence in %s: %s', (name, text, offence) => {
    expect(offencesAgainstTheFloors(file(name, text))).toEqual([offence]);
  });

  test('what is allowed', () => {
    expect(
      offencesAgainstTheFloors(
        new Map([
          ['app.ts', "import './log.js';"],
          ['http/a.ts', "import './b.js';\nimport '../memory/receipt.js';"],
          ['config.ts', "import './settings.js';"],
        ]),
      ),
    ).toEqual([]);
  });

  test('a circle, and a way to model code through another file', () => {
    const circle = new Map([
      ['main.ts', "import './http/a.js';"],
      ['http/a.ts', "import type { B } from './b.js';"],
      ['http/b.ts', "import './a.js';\nimport 'onnxruntime-node';"],
    ]);
    expect(findCycle(circle)).toEqual(['http/a.ts', 'http/b.ts', 'http/a.ts']);
    expect(waysToModelCode(circle, 'main.ts')).toEqual([
      'main.ts → http/a.ts → http/b.ts → onnxruntime-node',
    ]);
  });
});
