import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Assignment } from '../../../../src/proof/play/assignment.js';
import { InputError, readInputs } from '../../../../src/proof/play/inputs.js';

let folder = '';
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'plimsoll-inputs-'));
});
afterEach(() => rm(folder, { recursive: true }));

async function file(name: string, content: string | Buffer): Promise<string> {
  const path = join(folder, name);
  await writeFile(path, content);
  return path;
}

const LINES = '{"text":"you won","label":"spam"}\n\n{"text":"lunch?"}\n';

describe('reading inputs', () => {
  it('reads JSON lines, with and without labels, and skips blank ones', async () => {
    const set = await readInputs(await file('mail.jsonl', LINES));
    expect(set.name).toBe('mail.jsonl');
    expect(set.inputs).toEqual([
      { text: 'you won', label: 'spam' },
      { text: 'lunch?', label: null },
    ]);
  });

  it('reads packed JSON lines as the same set', async () => {
    const plain = await readInputs(await file('mail.jsonl', LINES));
    const packed = await readInputs(await file('mail.jsonl.gz', gzipSync(LINES)));
    expect(packed.inputs).toEqual(plain.inputs);
    expect(packed.sha256).toBe(plain.sha256);
  });

  it('reads the .txt files of a folder by name', async () => {
    await file('b.txt', 'second');
    await file('a.txt', 'first');
    await file('notes.md', 'not one');
    const set = await readInputs(folder);
    expect(set.inputs.map((input) => input.text)).toEqual(['first', 'second']);
  });

  it.each([
    ['broken.jsonl', '{"text":"a"}\n{"text":', /broken\.jsonl, line 2: not JSON/],
    ['untexted.jsonl', '{"label":"ham"}', /line 1: there is no "text"/],
    ['list.jsonl', '["a"]', /line 1: there is no "text"/],
    ['number.jsonl', '{"text":5}', /line 1: "text" is not a text/],
    ['blank.jsonl', '{"text":"  "}', /line 1: "text" is not a text, or empty/],
    ['label.jsonl', '{"text":"a","label":3}', /line 1: "label" is not a text/],
    ['empty.jsonl', '\n', /has no inputs/],
    ['torn.jsonl.gz', 'no gzip', /cannot be unpacked/],
    ['mail.csv', 'a,b', /neither a \.jsonl/],
  ])('refuses %s and says why', async (name, content, message) => {
    const reading = readInputs(await file(name, content));
    await expect(reading).rejects.toThrow(InputError);
    await expect(reading).rejects.toThrow(message);
  });

  it('names a path that is not there, and an empty folder', async () => {
    await expect(readInputs(join(folder, 'none.jsonl'))).rejects.toThrow(
      /there is no file or folder/,
    );
    await expect(readInputs(folder)).rejects.toThrow(/has no \.txt file/);
  });
});

describe('dealing inputs out', () => {
  const dealt = (of: Assignment, sessions: number) => {
    const out: number[] = [];
    for (let session = 0; session < sessions; session += 1) {
      for (let user = 0; user < 3; user += 1) {
        for (let request = 0; request < 4; request += 1) {
          out.push(of.inputOf(session * 3 + user, request));
        }
      }
    }
    return out;
  };

  it('repeats no text while the set lasts, then wraps round', () => {
    const inputs = dealt(new Assignment(24, 4, 1), 4);
    expect(new Set(inputs.slice(0, 24)).size).toBe(24);
    expect(inputs.slice(24)).toEqual(inputs.slice(0, 24));
  });

  it('is the same for one seed and another for another', () => {
    const first = dealt(new Assignment(24, 4, 1), 2);
    expect(dealt(new Assignment(24, 4, 1), 2)).toEqual(first);
    expect(dealt(new Assignment(24, 4, 2), 2)).not.toEqual(first);
    expect(first).not.toEqual([...first].sort((a, b) => a - b));
  });
});
