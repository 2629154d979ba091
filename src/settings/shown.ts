import type { SettingView } from '../contract/service.js';
import { type Config, environmentName, SETTINGS, settingKeys } from './config.js';
import type { Setting } from './setting.js';

/** The only way in which settings are shown: no secret leaves it. */
export function shownSettings(config: Config): readonly SettingView[] {
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
