import { type Config, ignoredVariables, readConfig } from '../settings/config.js';
import { withSecretFiles } from '../settings/environment/secret-files.js';
import { SettingError } from '../settings/setting.js';
import { availableCpus } from '../system/cpus.js';

/** Flags that every command takes; they override the environment. */
export interface CommonFlags {
  readonly models?: string;
  readonly data?: string;
  readonly dtype?: string;
  /** Models of a hub; only some commands have the flag. */
  readonly model?: string | readonly string[];
  readonly host?: string;
  readonly port?: string;
  /** What the server does in its fleet; `serve` only. */
  readonly role?: string;
  readonly set: readonly string[];
}

/** What a command runs with. */
export interface CommandConfig {
  readonly config: Config;
  /** CPUs that this process may use, possibly fractional. */
  readonly cpus: number;
  /** One line for each `PLIMSOLL_…` variable that is ignored. */
  readonly warnings: readonly string[];
}

/**
 * Every setting: from the flags, else from the environment, else the default.
 *
 * @throws SettingError
 */
export async function configFrom(flags: CommonFlags): Promise<CommandConfig> {
  const overrides: Record<string, string> = {};
  for (const written of flags.set) {
    const equals = written.indexOf('=');
    if (equals < 1) throw new SettingError(`--set ${written}: write it as key=value`);
    overrides[written.slice(0, equals)] = written.slice(equals + 1);
  }
  const named = {
    models: flags.models,
    data: flags.data,
    'models.dtype': flags.dtype,
    'http.host': flags.host,
    'http.port': flags.port,
    'server.role': flags.role,
    'hub.models': typeof flags.model === 'object' ? flags.model.join(',') : undefined,
  };
  for (const [key, value] of Object.entries(named)) if (value !== undefined) overrides[key] = value;
  const cpus = await availableCpus();
  const isInKubernetes = process.env.KUBERNETES_SERVICE_HOST !== undefined;
  const environment = withSecretFiles(process.env);
  const config = readConfig(environment, overrides, { cpus, isInKubernetes });
  return { config, cpus, warnings: ignoredVariables(environment) };
}

/** Prints the warnings of a command that has no log. */
export function printWarnings(warnings: readonly string[]): void {
  for (const warning of warnings) process.stderr.write(`plimsoll: ${warning}\n`);
}

/** A whole number of at least 1 that was given as a flag. @throws SettingError */
export function countFlag(name: string, value: string): number {
  if (!/^[1-9]\d{0,6}$/.test(value)) {
    throw new SettingError(`--${name} ${value}: it takes a whole number from 1 to 9999999`);
  }
  return Number(value);
}
