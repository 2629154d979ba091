// Whether `npm ci` would warn of something that we cause: node scripts/check-install.mjs [path of an npm-cli.js]
// A dry run reads our configuration and the lock file and judges engines; it asks no registry and installs nothing.
import { spawnSync } from 'node:child_process';
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const NEEDED = ['package.json', 'package-lock.json', '.npmrc', 'scripts/no-download'];

function warnings(npm) {
  const folder = mkdtempSync(path.join(tmpdir(), 'plimsoll-install-'));
  try {
    for (const name of NEEDED) {
      cpSync(path.join(root, name), path.join(folder, name), { recursive: true });
    }
    // Two: npm refuses one file for both.
    const [user, machine] = [path.join(folder, 'user'), path.join(folder, 'machine')];
    for (const empty of [user, machine]) writeFileSync(empty, '');
    const args = ['ci', '--dry-run', '--ignore-scripts', '--offline', '--cache', `${folder}/cache`];
    // Only our own configuration counts, not that of the user, the machine, or the npm that runs this.
    const kept = Object.entries(process.env).filter(([name]) => !/^npm_/i.test(name));
    const { status, stderr, error } = spawnSync(process.execPath, [npm, ...args], {
      cwd: folder,
      env: {
        ...Object.fromEntries(kept),
        npm_config_userconfig: user,
        npm_config_globalconfig: machine,
      },
      encoding: 'utf8',
    });
    if (status !== 0) return [error?.message ?? stderr];
    return stderr.split('\n').filter((line) => /^npm (warn|error)/i.test(line));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

const npm = process.argv[2] ?? process.env.npm_execpath ?? '';
const found = warnings(npm);
// npm warns of these only when it installs them.
const { packages } = JSON.parse(readFileSync(path.join(root, 'package-lock.json'), 'utf8'));
for (const [name, { deprecated }] of Object.entries(packages)) {
  if (deprecated !== undefined) found.push(`${name} is deprecated: ${deprecated}`);
}
for (const line of found) process.stdout.write(`${line}\n`);
if (found.length === 0) process.stdout.write('npm ci has nothing to warn of\n');
process.exit(found.length === 0 ? 0 : 1);
