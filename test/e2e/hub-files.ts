import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const MODELS = fileURLToPath(new URL('../fixtures/models', import.meta.url));

/** The files of a model of the fixtures, as a hub lists them. */
export function filesOfModel(name: string): ReadonlyMap<string, Buffer> {
  const folder = path.join(MODELS, name);
  const files = readdirSync(folder, { recursive: true, withFileTypes: true });
  return new Map(
    files
      .filter((file) => file.isFile())
      .map((file) => {
        const place = path.join(file.parentPath, file.name);
        return [path.relative(folder, place), readFileSync(place)];
      }),
  );
}
