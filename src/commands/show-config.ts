import { settingsDocument } from '../settings/document.js';
import { shownSettings } from '../settings/shown.js';
import { type CommonFlags, configFrom, printWarnings } from './flags.js';

/** `plimsoll config`: every setting with its value, or docs/settings.md. */
export async function showConfig(flags: CommonFlags & { markdown: boolean }): Promise<number> {
  if (flags.markdown) {
    process.stdout.write(settingsDocument());
    return 0;
  }
  const { config, warnings } = await configFrom(flags);
  printWarnings(warnings);
  for (const of of shownSettings(config)) {
    const unit = of.unit && of.value !== '(none)' ? ` ${of.unit}` : '';
    process.stdout.write(
      `${of.key} = ${of.value}${unit}\n    ${of.about}\n    ${of.environment}: ${of.bounds}; default ${of.default}\n`,
    );
  }
  return 0;
}
