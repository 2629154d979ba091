import { environmentName, SETTINGS, settingKeys } from '../config.js';
import type { Setting } from '../settings.js';
import { type CommonFlags, configFrom } from './flags.js';

/** `plimsoll config`: every setting with its value, or the table for the docs. */
export async function showConfig(flags: CommonFlags & { markdown: boolean }): Promise<number> {
  if (flags.markdown) {
    process.stdout.write(`${settingsTable()}\n`);
    return 0;
  }
  const { config } = await configFrom(flags);
  for (const key of settingKeys()) {
    const setting: Setting<unknown> = SETTINGS[key];
    const value = setting.secret && config[key] !== '' ? '(set, not shown)' : shown(config[key]);
    const unit = setting.unit ? ` ${setting.unit}` : '';
    process.stdout.write(
      `${key} = ${value}${value === '(none)' ? '' : unit}\n    ${setting.about}\n    ${environmentName(key)}: ${setting.bounds}; default ${setting.fallbackText}\n`,
    );
  }
  return 0;
}

/** The table of settings as it stands in the README. */
export function settingsTable(): string {
  const rows = settingKeys().map((key) => {
    const setting: Setting<unknown> = SETTINGS[key];
    const unit = setting.unit ? ` ${setting.unit}` : '';
    return `| \`${key}\` | \`${environmentName(key)}\` | ${setting.fallbackText}${/^\d/.test(setting.fallbackText) ? unit : ''} | ${setting.about} |`;
  });
  return [
    '| setting | environment | default | what it is |',
    '| --- | --- | --- | --- |',
    ...rows,
  ].join('\n');
}

function shown(value: unknown): string {
  if (value === '') return '(none)';
  if (typeof value !== 'object' || value === null) return String(value);
  if ('percent' in value) return `${String(value.percent)}%`;
  return 'bytes' in value ? `${String(value.bytes)} bytes` : JSON.stringify(value);
}
