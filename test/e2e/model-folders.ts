import { copyFile, cp, mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { inject } from 'vitest';
import { SPAM } from './texts.js';

/** The files that a model consists of. */
const MODEL_FILES = ['config.json', 'tokenizer.json', 'tokenizer_config.json'];

/** Copies the bundled model to `models/id`. */
export async function copyModel(models: string, id: string): Promise<string> {
  const folder = path.join(models, ...id.split('/'));
  await mkdir(path.join(folder, 'onnx'), { recursive: true });
  for (const file of MODEL_FILES) await copyFile(path.join(SPAM, file), path.join(folder, file));
  await cp(path.join(SPAM, 'onnx'), path.join(folder, 'onnx'), {
    recursive: true,
    dereference: true,
  });
  return folder;
}

/** Gives a copy of the bundled model its mapped form, which is found by the contents of the model's files. */
export async function copyForm(data: string, id: string): Promise<void> {
  const to = path.join(data, 'mapped', id.replaceAll('/', '~'));
  await cp(path.join(inject('preparedForms'), 'spam'), to, { recursive: true });
}

/** Changes the model's `config.json`. */
export async function changeConfig(
  folder: string,
  change: (config: Record<string, unknown>) => Record<string, unknown>,
): Promise<void> {
  const file = path.join(folder, 'config.json');
  const config = JSON.parse(await readFile(file, 'utf8')) as Record<string, unknown>;
  await writeFile(file, JSON.stringify(change(config)));
}

/** The mapped forms of a model in a data folder: name and time of each, also of partial ones. */
export async function formsOf(
  data: string,
  id: string,
): Promise<readonly { readonly name: string; readonly mtimeMs: number }[]> {
  const folder = path.join(data, 'mapped', id.replaceAll('/', '~'));
  const own = ['.lock', 'sources.json'];
  const all = await readdir(folder).catch((): string[] => []);
  const names = all.filter((name) => !own.includes(name));
  return Promise.all(
    names.sort().map(async (name) => {
      const { mtimeMs } = await stat(path.join(folder, name, 'model.onnx')).catch(() => ({
        mtimeMs: 0,
      }));
      return { name, mtimeMs };
    }),
  );
}
