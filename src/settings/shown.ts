import { type Config, environmentName, SETTINGS, type SettingKey, settingKeys } from './config.js';
import type { Setting } from './setting.js';

/** A setting as it may be shown to anybody. */
export interface ShownSetting {
  readonly key: SettingKey;
  readonly environment: string;
  /** As people write it; of a secret only whether it is set. */
  readonly value: string;
  readonly secret: boolean;
  readonly unit: string;
  readonly bounds: string;
  readonly default: string;
  readonly about: string;
}

/** The only way in which settings are shown: no secret leaves it. */
export function shownSettings(config: Config): readonly ShownSetting[] {
  return settingKeys().map((key) => {
    const { secret, unit, bounds, about, fallbackText }: Setting<unknown> = SETTINGS[key];
    const value = secret && config[key] !== '' ? '(set, not shown)' : shown(config[key]);
    const environment = environmentName(key);
    return { key, environment, value, secret, unit, bounds, default: fallbackText, about };
  });
}

function shown(value: unknown): string {
  if (value === '') return '(none)';
  if (typeof value !== 'object' || value === null) return String(value);
  if ('percent' in value) return `${String(value.percent)}%`;
  return 'bytes' in value ? `${String(value.bytes)} bytes` : JSON.stringify(value);
}
