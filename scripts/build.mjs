// Builds dist/: the server from src/, the page (dist/web) from web/. Runs by itself after `npm ci` (the "prepare" script).
import { spawnSync } from 'node:child_process';
import { chmodSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { build } from 'vite';

const root = fileURLToPath(new URL('..', import.meta.url));
rmSync(new URL('../dist', import.meta.url), { recursive: true, force: true });
const compiler = fileURLToPath(new URL('../node_modules/typescript/bin/tsc', import.meta.url));
const { status } = spawnSync(process.execPath, [compiler, '-p', 'tsconfig.build.json'], {
  cwd: root,
  stdio: 'inherit',
});
if (status !== 0) process.exit(status ?? 1);
chmodSync(new URL('../dist/main.js', import.meta.url), 0o755);
await build({
  configFile: fileURLToPath(new URL('../web/vite.config.mjs', import.meta.url)),
  logLevel: 'warn',
});

/** What of others goes to browsers with the page, under their own terms. */
const INCLUDED = ['preact', 'uplot', '@fontsource/barlow', '@fontsource/barlow-condensed'];
const licences = INCLUDED.map((name) => {
  const file = new URL(`../node_modules/${name}/LICENSE`, import.meta.url);
  return `${name}\n\n${readFileSync(file, 'utf8').trim()}\n`;
});
writeFileSync(new URL('../dist/web/licences.txt', import.meta.url), licences.join('\n\n'));
