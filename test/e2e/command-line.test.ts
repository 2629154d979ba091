import { readFileSync } from 'node:fs';
import { beforeAll, describe, expect, test } from 'vitest';
import { environmentName, SETTINGS, settingKeys } from '../../src/settings/config.js';
import type { Setting } from '../../src/settings/setting.js';
import { run, temporaryFolder } from './harness.js';
import { exitOf, launch } from './processes.js';

const COMMANDS = ['serve', 'bulk', 'prove', 'models', 'config'];
let folder: string;

beforeAll(async () => {
  folder = await temporaryFolder();
});

describe('plimsoll', () => {
  test('--version prints the version of the package', async () => {
    const manifest: unknown = JSON.parse(
      readFileSync(new URL('../../package.json', import.meta.url), 'utf8'),
    );
    const { code, stdout } = await run(['--version']);
    expect(code).toBe(0);
    expect(manifest).toMatchObject({ version: stdout.trim() });
  });

  test('--help names every command', async () => {
    const { code, stdout } = await run(['--help']);
    expect(code).toBe(0);
    for (const command of COMMANDS)
      expect(stdout).toMatch(new RegExp(`^ +${command}\\b.*\\w{4}`, 'm'));
  });

  test.each(COMMANDS)('%s --help has every default and an example', async (command) => {
    const { code, stdout } = await run([command, '--help'], { cwd: folder });
    expect(code).toBe(0);
    expect(stdout).toMatch(new RegExp(`Example:\\n.*plimsoll.*${command}`));
    // Each option starts a paragraph; what takes a value says what it is without one.
    const options = stdout.split(/\n(?= {2}-)/).slice(1);
    expect(options.length).toBeGreaterThan(2);
    for (const option of options.filter((text) => /^ {2}--[a-z-]+ </.test(text))) {
      if (option.includes('--set')) continue;
      expect(option).toMatch(/\(default:\s/);
    }
  });

  test.each(['--help', 'serve --help', 'config', 'models'])(
    '%s may be read in part',
    async (line) => {
      const child = launch(line.split(' '), { cwd: folder });
      child.stdout?.destroy();
      let stderr = '';
      child.stderr?.setEncoding('utf8').on('data', (text: string) => {
        stderr += text;
      });
      expect(await exitOf(child)).toMatchObject({ code: 0 });
      expect(stderr).toBe('');
    },
  );

  test('a wrong call exits 2 and says what is wrong', async () => {
    const wrong: [readonly string[], RegExp][] = [
      [['serve', '--colour', 'red'], /unknown option '--colour'/],
      [['config', '--frobnicate'], /unknown option '--frobnicate'/],
      [['dance'], /unknown command 'dance'/],
      [['serve', '--port'], /--port/],
      [['config', '--set', 'http.port=none'], /http\.port/],
      [['config', '--set', 'no.such=1'], /no\.such/],
      [['config', 'extra'], /argument/],
    ];
    for (const [args, message] of wrong) {
      const { code, stderr } = await run(args, { cwd: folder });
      expect(code, `${args.join(' ')}: ${stderr}`).toBe(2);
      expect(stderr).toMatch(message);
      expect(stderr).not.toMatch(/^\s+at .+:\d+/m);
    }
    const environment = { PLIMSOLL_HTTP_PORT: 'x' };
    const { code, stderr } = await run(['config'], { cwd: folder, environment });
    expect(code).toBe(2);
    expect(stderr).toMatch(/PLIMSOLL_HTTP_PORT/);
  });
});

describe('plimsoll config', () => {
  test('prints every setting with its value, bounds, default and environment name', async () => {
    const { code, stdout } = await run(['config'], { cwd: folder });
    expect(code).toBe(0);
    for (const key of settingKeys()) {
      const setting: Setting<unknown> = SETTINGS[key];
      expect(stdout).toMatch(new RegExp(`^${key.replaceAll('.', '\\.')} = .+$`, 'm'));
      expect(stdout).toContain(setting.about);
      expect(stdout).toContain(`${environmentName(key)}: ${setting.bounds}; default `);
    }
  });

  test('takes the command line before the environment before the default', async () => {
    const environment = { PLIMSOLL_HTTP_PORT: '1111', PLIMSOLL_SESSION_MAX_USERS: '3' };
    const args = ['config', '--port', '2222', '--set', 'memory.load_line=50%', '--models', 'm'];
    const { stdout } = await run(args, { cwd: folder, environment });
    expect(stdout).toMatch(/^http\.port = 2222$/m);
    expect(stdout).toMatch(/^session\.max_users = 3$/m);
    expect(stdout).toMatch(/^memory\.load_line = 50%/m);
    expect(stdout).toMatch(/^models = m$/m);
    expect(stdout).toMatch(/^http\.body_limit = 4194304 bytes$/m);
  });

  test('warns of variables that no setting has, and goes on', async () => {
    const environment = { PLIMSOLL_SESSION_MAX_USER: '5', PLIMSOLL_PORT: 'tcp://10.0.0.1:80' };
    const { code, stdout, stderr } = await run(['config'], { cwd: folder, environment });
    expect(code).toBe(0);
    expect(stdout).toMatch(/^session\.max_users = 8$/m);
    expect(stderr).toMatch(/^plimsoll: PLIMSOLL_SESSION_MAX_USER .* PLIMSOLL_SESSION_MAX_USERS$/m);
    expect(stderr).toMatch(/^plimsoll: PLIMSOLL_PORT .* PLIMSOLL_HTTP_PORT$/m);
  });

  test('never shows a secret, set or refused', async () => {
    const secret = 'do-not-show-me';
    const set = await run(['config'], {
      cwd: folder,
      environment: { PLIMSOLL_CACHE_SECRET: secret },
    });
    expect(set.stdout).toMatch(/^cache\.secret = \(set, not shown\)$/m);
    expect(set.stdout + set.stderr).not.toContain(secret);
    const refused = await run(['config', '--set', `cache.secret=${secret.repeat(400)}`]);
    expect(refused.code).toBe(2);
    expect(refused.stderr).toMatch(/cache\.secret/);
    expect(refused.stdout + refused.stderr).not.toContain(secret);
  });

  test('--markdown prints docs/settings.md', async () => {
    const { code, stdout } = await run(['config', '--markdown'], { cwd: folder });
    expect(code).toBe(0);
    const rows = stdout.split('\n').filter((line) => line.startsWith('| `'));
    expect(rows).toHaveLength(settingKeys().length);
    const page = readFileSync(new URL('../../docs/settings.md', import.meta.url), 'utf8');
    expect(stdout).toBe(page);
  });
});

describe('plimsoll models', () => {
  test('says when there is none, and when the folder is missing', async () => {
    const data = ['--data', `${folder}/data`];
    const none = await run(['models', '--models', folder, ...data]);
    expect(none).toMatchObject({ code: 1, stdout: `no models in ${folder}\n` });
    const missing = await run(['models', '--models', `${folder}/nothing`, ...data]);
    expect(missing.code).toBe(1);
    expect(missing.stderr).toContain(`${folder}/nothing`);
  });
});
