import { environmentName, SETTINGS, settingKeys } from '../settings/config.js';
import type { Setting } from '../settings/setting.js';
import { shownSettings } from '../settings/shown.js';
import { type CommonFlags, configFrom } from './flags.js';

/** `plimsoll config`: every setting with its value, or the table for the docs. */
export async function showConfig(flags: CommonFlags & { markdown: boolean }): Promise<number> {
  if (flags.markdown) {
    process.stdout.write(`${settingsTable()}\n`);
    return 0;
  }
  const { config } = await configFrom(flags);
  for (const of of shownSettings(config)) {
    const unit = of.unit && of.value !== '(none)' ? ` ${of.unit}` : '';
    process.stdout.write(
      `${of.key} = ${of.value}${unit}\n    ${of.about}\n    ${of.environment}: ${of.bounds}; default ${of.default}\n`,
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
