import path from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { build } from 'vite';

const MODULE = '../../../src/jobs/formats/parquet/parquet-thread-main.ts';

/** Threads cannot run TypeScript on every version of Node.js: its module, built into that folder. */
export async function builtThread(folder: string): Promise<URL> {
  await build({
    configFile: false,
    logLevel: 'error',
    ssr: { noExternal: true },
    build: {
      ssr: fileURLToPath(new URL(MODULE, import.meta.url)),
      outDir: folder,
      emptyOutDir: false,
      rollupOptions: { output: { entryFileNames: 'thread.mjs' } },
    },
  });
  return pathToFileURL(path.join(folder, 'thread.mjs'));
}
