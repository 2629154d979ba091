// Bundles the server's modules, of which a process loads some 400. Loaded one by one they took 6 MB of each process and a sixth
// of the CPU time of a start. Packages stay where they are.
import path from 'node:path';
import { rolldown } from 'rolldown';

/** Programs: each is started by its path, from the command line or by another process. */
const PROGRAMS = [
  'main',
  'inference/workers/worker-main',
  'jobs/formats/parquet/parquet-thread-main',
  'models/compile/preparer-main',
  'models/pull/pull-main',
  'proof/play/disturb/memory-hog',
];

/** What other programs of this project are composed of: the servers and workers of tests, and scripts. */
const PARTS = [
  'app/app',
  'app/log',
  'commands/flags',
  'proof/report/markdown-load',
  'system/process/tuning',
  'system/process-memory',
];

/** Other projects load it, in browsers too: it stands alone. */
const CLIENT = ['client/client'];

const PLACE = /PLACE_OF_MODULE\("([^"]+)"\)/g;

/**
 * Modules find files and programs by where they are themselves. In a bundle `import.meta.url` is the bundle's address, so
 * it is written as that of the module, relative to the bundle.
 */
function addresses(source) {
  return {
    name: 'addresses',
    transform(code, id) {
      if (!id.startsWith(source) || !code.includes('import.meta.url')) return null;
      const place = path.relative(source, id).split(path.sep).join('/').replace(/\.ts$/, '.js');
      return code.replaceAll('import.meta.url', `PLACE_OF_MODULE("${place}")`);
    },
    renderChunk(code, { fileName }) {
      if (!code.includes('PLACE_OF_MODULE')) return null;
      return code.replace(PLACE, (_, place) => {
        const relative = path.posix.relative(path.posix.dirname(fileName), place);
        return `new URL("./${relative}", import.meta.url).href`;
      });
    },
  };
}

async function bundle(source, names, to) {
  const build = await rolldown({
    input: Object.fromEntries(names.map((name) => [name, path.join(source, `${name}.ts`)])),
    platform: 'node',
    external: (id) => !id.startsWith('.') && !path.isAbsolute(id),
    resolve: { extensionAlias: { '.js': ['.ts'] } },
    transform: { target: 'node20' },
    plugins: [addresses(source)],
  });
  await build.write({
    dir: to,
    format: 'esm',
    entryFileNames: '[name].js',
    chunkFileNames: 'chunks/[name]-[hash].js',
    // V8 keeps the text of a module: with one character beyond ASCII in it, at two bytes for each.
    charset: 'ascii',
    comments: false,
  });
  await build.close();
}

/**
 * @param source folder of the sources
 * @param to folder of the bundles
 */
export async function bundleServer(source, to) {
  await bundle(source, [...PROGRAMS, ...PARTS], to);
  await bundle(source, CLIENT, to);
}
