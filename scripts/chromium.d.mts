import type { BrowserContext } from 'playwright-core';

/** Starts a browser with a profile of its own; `close` ends it and takes the profile away. */
export function startChromium(): Promise<{
  readonly context: BrowserContext;
  readonly close: () => Promise<void>;
}>;
