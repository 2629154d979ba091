import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { onTestFinished } from 'vitest';
import { tinyGraph } from './tiny-graph.js';

/** A temporary folder that goes away with the test. */
export function temporaryFolder(): string {
  const folder = mkdtempSync(path.join(tmpdir(), 'plimsoll-models-'));
  onTestFinished(() => {
    try {
      rmSync(folder, { recursive: true, force: true });
    } catch {
      // A figure that is measured in the background was written meanwhile.
      rmSync(folder, { recursive: true, force: true });
    }
  });
  return folder;
}

/** Files by their path; a value that is neither text nor bytes is written as JSON. */
export type Files = Readonly<Record<string, unknown>>;

export function write(folder: string, files: Files): void {
  for (const [name, content] of Object.entries(files)) {
    const file = path.join(folder, name);
    mkdirSync(path.dirname(file), { recursive: true });
    const isWritten = typeof content === 'string' || content instanceof Uint8Array;
    writeFileSync(file, isWritten ? content : JSON.stringify(content));
  }
}

/** A graph of no model in particular. */
export const GRAPH = tinyGraph({});

/** The files of a model that can be described; its tokenizer is none. */
export const MODEL: Files = {
  'config.json': {
    architectures: ['BertForSequenceClassification'],
    model_type: 'bert',
    id2label: { '0': 'ham', '1': 'spam' },
    max_position_embeddings: 256,
    pad_token_id: 0,
  },
  'tokenizer.json': {},
  'tokenizer_config.json': { model_max_length: 128 },
  'onnx/model.onnx': GRAPH,
};

/** Writes a model below `root`, with some files changed; `undefined` leaves one out. */
export function writeModel(root: string, id: string, changes: Files = {}): string {
  const folder = path.join(root, id);
  const files = Object.entries({ ...MODEL, ...changes });
  write(folder, Object.fromEntries(files.filter(([, content]) => content !== undefined)));
  return folder;
}
