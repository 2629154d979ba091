/** Packages of `bench/peers/`: what Plimsoll is compared with. They are no part of it. */
import { execFile } from 'node:child_process';
import { stat } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';
import { NotRunError } from '../benchmark.js';
import { projectFolder } from '../program.js';
import type { Progress } from '../progress.js';

const run = promisify(execFile);
const INSTALL_TIMEOUT_MS = 600_000;

/**
 * The folder of a peer, its packages installed from its lock file if they are not yet. Install scripts
 * do not run: that of onnxruntime-node would download, and no peer needs one.
 *
 * @throws NotRunError if they cannot be installed
 */
export async function installedPeer(name: string, progress: Progress): Promise<string> {
  const folder = path.join(projectFolder, 'bench', 'peers', name);
  if (await isInstalled(folder)) return folder;
  progress.say(`installing bench/peers/${name}`);
  try {
    await run('npm', ['ci', '--ignore-scripts'], {
      cwd: folder,
      timeout: INSTALL_TIMEOUT_MS,
      env: { ...process.env, ONNXRUNTIME_NODE_INSTALL: 'skip' },
    });
  } catch (error) {
    const words = error instanceof Error ? error.message : String(error);
    throw new NotRunError(`bench/peers/${name} cannot be installed: ${words.slice(-400)}`);
  }
  return folder;
}

/** npm writes `.package-lock.json` last; one that is older than our lock file belongs to another version of it. */
async function isInstalled(folder: string): Promise<boolean> {
  const [written, lock] = await Promise.all([
    stat(path.join(folder, 'node_modules', '.package-lock.json')).catch(() => undefined),
    stat(path.join(folder, 'package-lock.json')),
  ]);
  return written !== undefined && written.mtimeMs >= lock.mtimeMs;
}
