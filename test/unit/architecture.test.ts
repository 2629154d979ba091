import { readFileSync } from 'node:fs';
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
  type Sources,
  within,
  withoutCommentsAndStrings,
} from './sources.js';

const SOURCE = fileURLToPath(new URL('../../src', import.meta.url));
const MAX_LINES = 400;
const MAX_FILES = 15;

/** The floors of the server's house. */
const FLOORS: Floors = [
  [['main.ts']],
  [['commands/']],
  [['app/']],
  [['page/'], ['http/']],
  [['sessions/'], ['keys/'], ['jobs/']],
  [['tasks/']],
  [['inference/']],
  [['cache/'], ['models/'], ['memory/'], ['store/'], ['proof/']],
  [['system/'], ['pools/']],
  [['settings/'], ['metrics/'], ['client/']],
  [['contract/'], ['errors.ts'], ['version.ts']],
];

/** The floors within rooms that have several. */
const INNER_FLOORS: readonly { readonly room: string; readonly floors: Floors }[] = [
  {
    room: 'inference/',
    floors: [
      [
        [
          'answer-budget.ts',
          'answers.ts',
          'batch-inputs.ts',
          'classify.ts',
          'damaged-forms.ts',
          'dispatcher.ts',
          'dispatcher-options.ts',
          'shadow-checks.ts',
          'requests.ts',
          'row-task.ts',
          'running-batches.ts',
          'shift.ts',
          'tokenize.ts',
          'yielding.ts',
        ],
      ],
      [['loads/'], ['faults/']],
      [['queue/']],
      [['workers/']],
    ],
  },
  {
    room: 'memory/',
    floors: [
      [['manager.ts']],
      [['actions/']],
      [
        [
          'admission.ts',
          'effects.ts',
          'gears.ts',
          'journal.ts',
          'model-ledger.ts',
          'policy.ts',
          'process-ring.ts',
          'reader.ts',
          'receipt.ts',
          'residency.ts',
          'ring.ts',
          'snapshot.ts',
          'watchdog.ts',
        ],
      ],
    ],
  },
  {
    room: 'models/',
    floors: [
      [['library.ts', 'gone-forms.ts', 'hub-models.ts', 'pulls.ts']],
      [['pull/']],
      [
        [
          'compile/can-compile.ts',
          'compile/compare-tokenizers.ts',
          'compile/form-checks.ts',
          'compile/inspect-graph.ts',
          'compile/mapped-form.ts',
          'compile/measure-room.ts',
          'compile/preparer.ts',
          'compile/preparer-main.ts',
          'compile/preparer-processes.ts',
          'compile/preparer-protocol.ts',
          'compile/preparing-room.ts',
          'compile/probe-texts.ts',
          'compile/staging.ts',
          'compile/verify/',
          'compile/write-form.ts',
          'compile/compile-safetensors.ts',
        ],
      ],
      [
        [
          'compile/families/describe.ts',
          'compile/families/pick.ts',
          'compile/families/registry.ts',
        ],
      ],
      [['compile/families/encoders/']],
      [['compile/families/layers/']],
      [['compile/families/network/']],
      [['compile/safetensors/'], ['compile/quantise/'], ['compile/mend/'], ['compile/forms/']],
      [['compile/onnx/']],
      [['run/']],
      [['intake/']],
    ],
  },
  {
    room: 'proof/',
    floors: [
      [['prove.ts']],
      [['report/']],
      [['judge/']],
      [['play/']],
      [['replies.ts', 'format.ts', 'statistics.ts']],
    ],
  },
];

/** Which door a file belongs to, that is which folder of `http/doors/`. */
function doorOf(file: string): string | undefined {
  return /^http\/doors\/([^/]+)\//.exec(file)?.[1];
}

/** Where the doors are listed: nothing else in the server knows one. */
const LIST_OF_DOORS = 'http/doors/doors.ts';

/** Imports of a door by what is not part of it. */
function importsOfDoors(sources: Sources): readonly string[] {
  return [...sources].flatMap(([file, text]) =>
    ownImportsOf(file, text)
      .filter((imported) => {
        const door = doorOf(imported);
        return door !== undefined && door !== doorOf(file) && file !== LIST_OF_DOORS;
      })
      .map((imported) => `${file} imports ${imported}`),
  );
}

/** Model code: it is loaded in worker and preparer processes only, which are forked. */
const MODEL_CODE = ['onnxruntime-node', '@huggingface/tokenizers', 'tokenizers'];
const MAIN = 'main.ts';
const FORKED = ['inference/workers/worker-main.ts', 'models/compile/preparer-main.ts'];

/** `{page, http}`: the rooms of each floor, top to bottom. */
function floorsAsText(floors: Floors): string {
  const nameOf = (part: string) => part.replace(/\.ts$|\/$/, '');
  return floors
    .map((rooms) => {
      const names = rooms.flatMap((room) => room.map(nameOf));
      return names.length === 1 ? names[0] : `{${names.join(', ')}}`;
    })
    .join(' → ');
}

/** `models/compile/onnx/a.ts` → `models`, `models/compile`, `models/compile/onnx`. */
function foldersAbove(file: string): readonly string[] {
  const parts = file.split('/').slice(0, -1);
  return parts.map((_, index) => parts.slice(0, index + 1).join('/'));
}

/** The folders that the page draws below `src/`: two blanks of indentation for each level. */
function foldersInPicture(page: string): ReadonlySet<string> {
  const picture = /```\nsrc\/\n([\s\S]*?)\n\S/.exec(page)?.[1] ?? '';
  const folders = new Set<string>();
  const above: string[] = [];
  for (const line of picture.split('\n')) {
    const [, blanks = '', name] = /^( +)([\w-]+)\/ /.exec(line) ?? [];
    if (name === undefined) continue;
    above.splice(blanks.length / 2 - 1);
    above.push(name);
    folders.add(above.join('/'));
  }
  return folders;
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

describe('src/', () => {
  const sources = readSources(SOURCE);

  test('has the files that this test is about', () => {
    expect([...sources.keys()]).toEqual(expect.arrayContaining([MAIN, 'app/app.ts', ...FORKED]));
  });

  test('every import goes down', () => {
    expect(offencesAgainstTheFloors(FLOORS, sources)).toEqual([]);
  });

  test.each(INNER_FLOORS)('every import within $room goes down', ({ room, floors }) => {
    expect(offencesAgainstTheFloors(floors, within(room, sources))).toEqual([]);
  });

  test('a door is known to the list of doors alone', () => {
    expect([...sources.keys()].map(doorOf)).toContain('plimsoll');
    expect(importsOfDoors(sources)).toEqual([]);
  });

  test('src/ itself holds main.ts, errors.ts, version.ts and folders', () => {
    const loose = [...sources.keys()].filter((file) => !file.includes('/'));
    expect(loose).toEqual(['errors.ts', 'main.ts', 'version.ts']);
  });

  test(`no folder has more than ${MAX_FILES} files`, () => {
    expect(crowdedFolders(sources, MAX_FILES)).toEqual([]);
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
    const long = [...sources].filter(([, text]) => isLong(text, MAX_LINES));
    expect(long.map(([file]) => file)).toEqual([]);
  });

  test.each(FORBIDDEN)('no file uses %s', (_what, pattern) => {
    const using = [...sources].filter(([, text]) => pattern.test(withoutCommentsAndStrings(text)));
    expect(using.map(([file]) => file)).toEqual([]);
  });
});

describe('docs/architecture.md', () => {
  const page = readFileSync(new URL('../../docs/architecture.md', import.meta.url), 'utf8');

  test('shows every folder of src/, and no other', () => {
    const folders = new Set([...readSources(SOURCE).keys()].flatMap((file) => foldersAbove(file)));
    expect([...foldersInPicture(page)].sort()).toEqual([...folders].sort());
  });

  test('names the floors as this test has them', () => {
    const line = /^`(main → .*)`$/m.exec(page)?.[1];
    expect(line).toBe(floorsAsText(FLOORS));
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
    ['http/a.ts', "import type { A } from '../app/app.js';", 'http/a.ts imports app/app.ts: up'],
    ['page/a.ts', "import { A } from '../http/b.js';", 'page/a.ts imports http/b.ts: sideways'],
    [
      'cache/a.ts',
      "import { A } from '../models/b.js';",
      'cache/a.ts imports models/b.ts: sideways',
    ],
    [
      'errors.ts',
      "import { A } from './settings/setting.js';",
      'errors.ts imports settings/setting.ts: up',
    ],
    [
      'settings/config.ts',
      "import { A } from '../system/cpus.js';",
      'settings/config.ts imports system/cpus.ts: up',
    ],
    ['utils/a.ts', '', 'utils/a.ts is in no room: give it one in FLOORS, and in docs'],
  ])('an offence in %s: %s', (name, text, offence) => {
    expect(offencesAgainstTheFloors(FLOORS, file(name, text))).toEqual([offence]);
  });

  test('a door that another one imports, or the server', () => {
    const doors = new Map([
      ['http/doors/doors.ts', "import './a/door.js';"],
      ['http/doors/a/door.ts', "import './routes.js';\nimport '../b/door.js';"],
      ['http/server.ts', "import './doors/doors.js';\nimport './doors/a/routes.js';"],
    ]);
    expect(importsOfDoors(doors)).toEqual([
      'http/doors/a/door.ts imports http/doors/b/door.ts',
      'http/server.ts imports http/doors/a/routes.ts',
    ]);
  });

  test('what is allowed', () => {
    expect(
      offencesAgainstTheFloors(
        FLOORS,
        new Map([
          ['app/app.ts', "import './log.js';"],
          ['http/a.ts', "import './b.js';\nimport '../memory/receipt.js';"],
          ['settings/config.ts', "import './setting.js';"],
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
