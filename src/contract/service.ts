/** The server itself: its health, its settings and the keys of its callers. */
import {
  choice,
  closed,
  flag,
  instant,
  integer,
  list,
  nullable,
  object,
  optional,
  type Static,
  text,
} from './schema/schema.js';

export const liveSchema = object({ status: choice(['live']) });

export const readySchema = object({
  status: choice(['ready', 'degraded']),
  reasons: optional(list(text(), 'What is not as it should be.')),
});
export type Ready = Static<typeof readySchema>;

export const notReadySchema = object({ status: choice(['not ready']), reason: text() });
export type NotReady = Static<typeof notReadySchema>;

export const settingSchema = object({
  key: text(),
  environment: text(),
  value: text('Of a secret only whether it is set.'),
  secret: flag(),
  unit: text(),
  bounds: text(),
  default: text(),
  about: text(),
});
export type SettingView = Static<typeof settingSchema>;

export const settingsSchema = object({ settings: list(settingSchema) });
export type Settings = Static<typeof settingsSchema>;

/** What a key allows: to ask models; to see sessions, records, metrics and the page; all of it and to manage. */
export const KEY_SCOPES = ['classify', 'read', 'manage'] as const;
export type KeyScope = (typeof KEY_SCOPES)[number];

export const keySchema = object({
  name: text(),
  scopes: list(choice(KEY_SCOPES), 'manage includes the others.'),
  state: choice(['valid', 'expired', 'revoked']),
  from: choice(['database', 'file'], 'Keys of the file are changed there.'),
  requests_per_second: nullable(integer()),
  inputs_per_minute: nullable(integer()),
  created_at: nullable(instant()),
  expires_at: nullable(instant()),
  revoked_at: nullable(instant()),
});
export type KeyView = Static<typeof keySchema>;

export const keysSchema = object({ keys: list(keySchema) });

const span = { pattern: '^\\d{1,9}[smhd]$', examples: ['90d', '12h'] };
const most = { minimum: 1, maximum: 999_999_999 };

export const newKeySchema = closed({
  name: text({ minLength: 1, maxLength: 64 }),
  scopes: optional(list(choice(KEY_SCOPES), { minItems: 1, description: 'classify by default.' })),
  requests_per_second: optional(integer(most)),
  inputs_per_minute: optional(integer(most)),
  expires: optional(text({ ...span, description: 'How long it is valid; for good by default.' })),
});

export const madeKeySchema = object({
  name: text(),
  key: text('The secret: shown this once, and kept nowhere.'),
});
export type MadeKeyView = Static<typeof madeKeySchema>;

export const keyPathSchema = object({ name: text({ maxLength: 64 }) });

export const rotateKeySchema = nullable(
  closed({
    grace: optional(
      text({ ...span, description: 'For so long the old one works too; 0s by default.' }),
    ),
  }),
);

export const revokedKeySchema = object({ name: text(), state: choice(['revoked']) });
