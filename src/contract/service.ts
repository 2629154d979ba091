/** The server itself: its health and its settings. */
import { choice, flag, list, object, optional, type Static, text } from './schema/schema.js';

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
