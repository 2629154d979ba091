// Builds dist/: the server from src/, the page (dist/web) from web/. Runs by itself after `npm ci` (the "prepare" script).
import { spawnSync } from 'node:child_process';
import { chmodSync, existsSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'vite';
import { bundleServer } from './bundle.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));
const dist = path.join(root, 'dist');
// Made beside, then renamed: whoever starts the server meanwhile (npx runs this script when it is first used) finds the old one.
const made = path.join(root, `dist.${process.pid}`);
const old = `${made}.old`;
process.on('exit', () => {
  for (const folder of [made, old]) rmSync(folder, { recursive: true, force: true });
});
const compiler = path.join(root, 'node_modules/typescript/bin/tsc');
// The first one checks, the second one writes the types of `plimsoll/client`.
for (const project of ['tsconfig.build.json', 'tsconfig.client.json']) {
  const args = [compiler, '-p', project, '--outDir', made];
  const { status } = spawnSync(process.execPath, args, { cwd: root, stdio: 'inherit' });
  if (status !== 0) process.exit(status ?? 1);
}
await bundleServer(path.join(root, 'src'), made);
chmodSync(path.join(made, 'main.js'), 0o755);
await build({
  configFile: path.join(root, 'web/vite.config.mjs'),
  logLevel: 'warn',
  build: { outDir: path.join(made, 'web') },
});

/** What of others goes to browsers with the page, under their own terms. */
const INCLUDED = ['preact', 'uplot', '@fontsource/barlow', '@fontsource/barlow-condensed'];
const licences = INCLUDED.map((name) => {
  const file = path.join(root, 'node_modules', name, 'LICENSE');
  return `${name}\n\n${readFileSync(file, 'utf8').trim()}\n`;
});
writeFileSync(path.join(made, 'web/licences.txt'), licences.join('\n\n'));
if (existsSync(dist)) renameSync(dist, old);
renameSync(made, dist);
