import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { type Config, ignoredVariables, readConfig } from '../../../src/settings/config.js';
import { withSecretFiles } from '../../../src/settings/environment/secret-files.js';
import { placeOf } from './judges.js';

/** The secrets that deploy/compose/secrets.sh makes, in a folder of their own. */
export class MadeSecrets {
  readonly folder = mkdtempSync(path.join(tmpdir(), 'plimsoll-secrets-'));

  /** Runs the script; what it made before stays. */
  make(): void {
    execFileSync('sh', [placeOf('deploy/compose/secrets.sh'), this.folder], { stdio: 'ignore' });
  }

  /**
   * Reads an environment as the server does, with these secrets in the place where the container has its own.
   *
   * @param mounted folder in which the container has them
   * @throws SettingError as the server at its start; Error for a variable that the server would ignore
   */
  read(environment: Readonly<Record<string, string>>, mounted: string): Config {
    const here = Object.entries(environment).map(([name, value]): [string, string] => [
      name,
      value.startsWith(`${mounted}/`) ? path.join(this.folder, path.basename(value)) : value,
    ]);
    const known = withSecretFiles(Object.fromEntries(here));
    const ignored = ignoredVariables(known);
    if (ignored.length > 0) throw new Error(ignored.join('\n'));
    return readConfig(known, {}, { cpus: 2, isInKubernetes: true });
  }

  remove(): void {
    rmSync(this.folder, { recursive: true, force: true });
  }
}
