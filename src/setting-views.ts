import { type Config, environmentName, SETTINGS, type SettingKey, settingKeys } from './config.js';
import type { Setting } from './settings.js';

/** A setting as people may see it: a secret is set or not, and nothing more. */
export interface SettingView {
  readonly key: SettingKey;
  readonly environment: string;
  readonly value: string;
  readonly unit: string;
  readonly default: string;
  readonly bounds: string;
  readonly about: string;
  readonly secret: boolean;
}

/** Every setting with its value, in their order. The one place from which values are shown. */
export function settingViews(config: Config): readonly SettingView[] {
  return settingKeys().map((key) => {
    const { unit, fallbackText, bounds, about, secret }: Setting<unknown> = SETTINGS[key];
    const value = secret && config[key] !== '' ? '(set, not shown)' : shown(config[key]);
    const environment = environmentName(key);
    return { key, environment, value, unit, default: fallbackText, bounds, about, secret };
  });
}

function shown(value: unknown): string {
  if (value === '') return '(none)';
  if (typeof value !== 'object' || value === null) return String(value);
  if ('percent' in value) return `${String(value.percent)}%`;
  return 'bytes' in value ? `${String(value.bytes)} bytes` : JSON.stringify(value);
}
