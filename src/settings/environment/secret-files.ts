import { readFileSync, statSync } from 'node:fs';
import { environmentName, SETTINGS, type SettingKey, settingKeys } from '../config.js';
import { SettingError } from '../setting.js';

/** The longest secret is an address; a file above this is something else. */
const MAX_BYTES = 65_536;

type Environment = Readonly<Record<string, string | undefined>>;

/**
 * Compose, Kubernetes and systemd hand secrets over as files: `PLIMSOLL_DATABASE_URL_FILE` names the file that holds the
 * value of `PLIMSOLL_DATABASE_URL`. Only secret settings have such a variable.
 *
 * 1. An empty name counts as not set.
 * 2. The variable and its file together are refused: nobody could tell which one counts.
 * 3. The file must be a regular one of at most 64 KB; the line breaks at its end are not part of the secret.
 *
 * @returns the environment with the values in place of the names of their files
 * @throws SettingError naming each file that cannot be used, never what is in it
 */
export function withSecretFiles(environment: Environment): Environment {
  const values: Record<string, string | undefined> = { ...environment };
  const problems: string[] = [];
  for (const key of secretKeys()) {
    const name = environmentName(key);
    const file = values[`${name}_FILE`];
    delete values[`${name}_FILE`];
    if (file === undefined || file === '') continue;
    if ((environment[name] ?? '') !== '') {
      problems.push(`${name} and ${name}_FILE: set one of them`);
      continue;
    }
    try {
      values[name] = secretIn(file);
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      problems.push(`${name}_FILE: ${reason}`);
    }
  }
  if (problems.length > 0) throw new SettingError(problems.join('\n'));
  return values;
}

/** The keys of the settings that are never shown. */
export function secretKeys(): readonly SettingKey[] {
  return settingKeys().filter((key) => SETTINGS[key].secret);
}

/** A FIFO or a device would hold the start up, or never end. */
function secretIn(file: string): string {
  const found = statSync(file);
  if (!found.isFile()) throw new Error(`${file} is no regular file`);
  if (found.size > MAX_BYTES) throw new Error(`${file} is larger than ${MAX_BYTES} bytes`);
  const secret = readFileSync(file, 'utf8').replace(/[\r\n]+$/, '');
  if (secret === '') throw new Error(`${file} is empty`);
  return secret;
}
