import { parquetWriteBuffer } from 'hyparquet-writer';
import { describe, expect, test } from 'vitest';
import { ParquetDecoder } from '../../../../src/jobs/formats/parquet/parquet-decoder.js';
import { ParquetFormat } from '../../../../src/jobs/formats/parquet/parquet-format.js';
import type {
  ParquetAnswer,
  ParquetQuestion,
} from '../../../../src/jobs/formats/parquet/parquet-messages.js';
import type { ParquetThread } from '../../../../src/jobs/formats/parquet/parquet-thread.js';
import { StepRows } from '../../../../src/jobs/formats/parquet/step-rows.js';
import { all, Bench, signal, temporaryFolder } from '../reading.js';

const OPTIONS = { format: 'parquet', compression: 'none', columns: ['text'] } as const;
const MB = 1024 * 1024;
const bench = new Bench(await temporaryFolder());

/** A format whose thread is the decoder itself, and what it answered. */
function watched() {
  const answers: { asked: number; rows: number; characters: number }[] = [];
  let slice = async (_start: number, _end: number) => new ArrayBuffer(0);
  const decoder = new ParquetDecoder((start, end) => slice(start, end));
  const thread: Pick<ParquetThread, 'ask'> = {
    async ask(question: ParquetQuestion, of): Promise<ParquetAnswer> {
      slice = of;
      const answer = await decoder.answer(question);
      if (question.type === 'read' && answer.type === 'rows') {
        answers.push({
          asked: question.to - question.from,
          rows: answer.rows.length,
          characters: JSON.stringify(answer.rows).length,
        });
      }
      return answer;
    },
  };
  return { format: new ParquetFormat(bench.places, thread), answers };
}

async function fileOf(texts: readonly string[]) {
  const columnData = [{ name: 'text', data: [...texts], type: 'STRING' as const }];
  return bench.file(new Uint8Array(parquetWriteBuffer({ columnData, rowGroupSize: texts.length })));
}

const TEMPLATES = Array.from({ length: 20 }, (_, n) => `${n} `.repeat(25_000).slice(0, 50_000));

describe('steps of Parquet', () => {
  test('long texts that repeat, a few bytes in the file, come some at a time, each once', async () => {
    const texts = Array.from({ length: 2000 }, (_, n) => TEMPLATES[n % 20] ?? '');
    const file = await fileOf(texts);
    expect(file.bytes).toBeLessThan(2 * MB);
    const { format, answers } = watched();
    const range = { unit: 'rows', start: 0, end: 2000 } as const;
    let at = 0;
    for await (const slice of format.read(file, range, OPTIONS, signal)) {
      expect(slice.length).toBeLessThan(64);
      for (const row of slice) {
        expect(row.at).toBe(at);
        expect('columns' in row && row.columns.text === texts[at]).toBe(true);
        at += 1;
      }
    }
    expect(at).toBe(2000);
    expect(Math.max(...answers.map(({ characters }) => characters))).toBeLessThan(2.5 * MB);
    // Once their length is known, no more of them are decoded than are answered, about.
    const later = answers.slice(5);
    const asked = later.reduce((sum, each) => sum + each.asked, 0);
    expect(asked).toBeLessThan(1.5 * later.reduce((sum, each) => sum + each.rows, 0));
  });

  test('ordinary rows: the first shard finds out how many make a step, the others keep to it', async () => {
    const texts = Array.from({ length: 12_000 }, (_, n) => `mail ${n} `.repeat(20));
    const file = await fileOf(texts);
    const { format, answers } = watched();
    for (let start = 0; start < 12_000; start += 4000) {
      answers.length = 0;
      const range = { unit: 'rows', start, end: start + 4000 } as const;
      const rows = (await all(format.read(file, range, OPTIONS, signal))).flat();
      expect(rows.map((row) => 'columns' in row && row.columns.text)).toEqual(
        texts.slice(start, start + 4000),
      );
      if (start > 0) expect(answers).toHaveLength(1);
    }
  });

  test('texts that become long behind short ones are stopped, and steps follow them down and up', async () => {
    const texts = Array.from({ length: 3000 }, (_, n) =>
      n % 1500 < 1000 ? `short ${n % 7}` : (TEMPLATES[n % 20] ?? ''),
    );
    const { format, answers } = watched();
    const file = await fileOf(texts);
    const range = { unit: 'rows', start: 0, end: 3000 } as const;
    const rows = (await all(format.read(file, range, OPTIONS, signal))).flat();
    expect(rows.map((row) => 'columns' in row && row.columns.text)).toEqual(texts);
    expect(Math.max(...answers.map(({ characters }) => characters))).toBeLessThan(2.5 * MB);
    expect(answers.length).toBeLessThan(200);
  });

  test('the rule: few at first, four times as many at most, and what a step is', () => {
    const steps = new StepRows(100, undefined);
    expect(steps.rows).toBe(64);
    steps.made(64, 64 * 100);
    expect(steps.rows).toBe(256);
    for (let n = 0; n < 20; n += 1) steps.made(steps.rows, steps.rows * 200);
    expect(steps.rows).toBe(Math.floor(MB / 200));
    expect(new StepRows(100, steps.rowBytes).rows).toBe(Math.floor(MB / 200));
    steps.made(1, 5 * MB);
    expect(steps.rows).toBe(1);
    // What is read of the file counts, too, where it is more than what it decodes to.
    expect(new StepRows(1000, 10).rows).toBe(Math.floor(MB / 1000));
  });
});
