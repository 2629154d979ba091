// Debian's Chromium under Playwright, for the page's tests, its benchmark and the pictures of the documents.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { chromium } from 'playwright-core';
import { findTool } from './test-tools.mjs';

/** It needs no network, and may not use one; root has no sandbox. */
const ARGUMENTS = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

/** Starts a browser with a profile of its own; `close` ends it and takes the profile away. */
export async function startChromium() {
  const executablePath = findTool('chromium');
  if (executablePath === undefined) throw new Error('Chromium is not installed');
  const profile = mkdtempSync(path.join(tmpdir(), 'plimsoll-chromium-'));
  const context = await chromium.launchPersistentContext(profile, {
    executablePath,
    args: ARGUMENTS,
    headless: true,
    viewport: { width: 1280, height: 800 },
  });
  const close = async () => {
    await context.close();
    rmSync(profile, { recursive: true, force: true, maxRetries: 5 });
  };
  return { context, close };
}
