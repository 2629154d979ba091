import { AREAS, environmentName, type SettingKey } from './config.js';
import { secretKeys } from './environment/secret-files.js';
import type { Setting } from './setting.js';

const SECRETS = secretKeys()
  .map((key) => `\`${key}\``)
  .join(', ');

const HEAD = `<!-- Written by \`node dist/main.js config --markdown > docs/settings.md\`: change src/settings/, not this page. -->

# Settings

Each setting has a key, such as \`session.max_users\`. Plimsoll takes its value from the first of these that names it:

1. the command line: \`--set session.max_users=4\`, which may be repeated. A few settings have flags of their own: \`--models\`, \`--data\`, \`--dtype\`, \`--host\`, \`--port\`, \`--role\`.
2. the environment: \`PLIMSOLL_SESSION_MAX_USERS=4\`. The name is \`PLIMSOLL_\` and the key in capitals, with \`_\` for each dot.
3. the default.

\`plimsoll config\` prints every setting with its value, its bounds and its default.

- A value out of bounds is refused at start, with the setting's name and bounds. Nothing is clamped.
- A key of \`--set\` that no setting has is refused; the error names the nearest one.
- A variable that begins with \`PLIMSOLL_\` and that no setting has is ignored with a warning that names the nearest one. Kubernetes sets such variables for a Service called \`plimsoll\`.
- Secrets go into the environment: other users of the machine can read the arguments of a process. They are never shown, logged or sent.
- A secret may also come from a file, as Compose, Kubernetes and systemd hand it over: \`PLIMSOLL_DATABASE_URL_FILE=/run/secrets/database-url\` names the file that holds the value. So for each secret: ${SECRETS}.
- Amounts of memory take bytes, \`512M\`, \`2G\` (powers of 1,024) or a percentage such as \`80%\`.
`;

/** The whole of docs/settings.md: how to set, and a table for each area. */
export function settingsDocument(): string {
  const areas = Object.entries(AREAS).map(([area, settings]) => {
    const rows = Object.entries(settings).map(([key, setting]) =>
      rowOf(key as SettingKey, setting),
    );
    return `## ${area}\n\n${TABLE_HEAD}\n${rows.join('\n')}\n`;
  });
  return [HEAD, ...areas].join('\n');
}

const TABLE_HEAD =
  '| setting | environment | takes | default | what it is |\n| --- | --- | --- | --- | --- |';

function rowOf(key: SettingKey, { fallbackText, unit, bounds, about }: Setting<unknown>): string {
  const withUnit =
    /^\d/.test(fallbackText) && unit !== '' ? `${fallbackText} ${unit}` : fallbackText;
  const cells = [`\`${key}\``, `\`${environmentName(key)}\``, bounds, withUnit, about];
  return `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`;
}
