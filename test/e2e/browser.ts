import { mkdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import axe from 'axe-core';
import type { BrowserContext, Locator, Page } from 'playwright-core';
import { startChromium } from '../../scripts/chromium.mjs';

/** Where screenshots go. Those that show no failure are made only if a folder is named: whole pages take seconds each. */
const NAMED_RESULTS = process.env.PLIMSOLL_TEST_RESULTS;
const RESULTS = NAMED_RESULTS ?? fileURLToPath(new URL('../../test-results', import.meta.url));
/** Far more than anything here takes on a busy machine. */
const AMPLE_MS = 20_000;

/** What axe found wrong: the rule, and where. */
export interface Violation {
  readonly rule: string;
  readonly where: readonly string[];
}

export interface PageOptions {
  readonly width?: number;
  readonly height?: number;
  readonly theme?: 'light' | 'dark';
  /** Part of the address behind `#`. */
  readonly hash?: string;
}

/** A real Chromium, and the pages that it has open. */
export class Browser {
  readonly #context: BrowserContext;
  readonly #close: () => Promise<void>;
  /** Exceptions of the pages, and what their security policy kept them from. */
  readonly faults: string[] = [];

  static async start(): Promise<Browser> {
    const { context, close } = await startChromium();
    context.setDefaultTimeout(AMPLE_MS);
    return new Browser(context, close);
  }

  private constructor(context: BrowserContext, close: () => Promise<void>) {
    this.#context = context;
    this.#close = close;
  }

  /** The page of a server, with its first figures. */
  async open(server: { readonly url: string }, options: PageOptions = {}): Promise<Page> {
    const page = await this.openAnyway(server, options);
    await page.locator('.gauge-used').waitFor();
    return page;
  }

  /** The page of a server, with or without figures. */
  async openAnyway(server: { readonly url: string }, options: PageOptions = {}): Promise<Page> {
    const page = await this.#context.newPage();
    page.on('pageerror', (error) => this.faults.push(error.message));
    page.on('console', (message) => {
      const text = message.text();
      if (message.type() === 'error' && !text.includes('Failed to load')) this.faults.push(text);
    });
    const { width = 1280, height = 800, theme = 'light', hash = '' } = options;
    await page.setViewportSize({ width, height });
    await page.emulateMedia({ colorScheme: theme });
    await page.goto(`${server.url}/${hash}`);
    return page;
  }

  close(): Promise<void> {
    return this.#close();
  }
}

/** Keeps a picture of the whole page of a test that failed. */
export async function shootFailure(page: Page, id: string): Promise<void> {
  await page.screenshot({ path: pictureOf(`failed-${id}`), fullPage: true });
}

/** Keeps a picture of the whole page, if pictures are asked for. */
export async function shoot(page: Page, name: string): Promise<void> {
  if (NAMED_RESULTS === undefined) return;
  await page.screenshot({ path: pictureOf(name), fullPage: true });
}

/** Keeps a picture of one part of the page, if pictures are asked for. */
export async function shootPart(part: Locator, name: string): Promise<void> {
  if (NAMED_RESULTS === undefined) return;
  await part.screenshot({ path: pictureOf(name) });
}

function pictureOf(name: string): string {
  mkdirSync(RESULTS, { recursive: true });
  return path.join(RESULTS, `page-${name}.png`);
}

/**
 * Looks for what keeps people out (WCAG 2 A and AA, and good practice).
 *
 * @param within selector of the part that is looked at; the whole page by default
 */
export async function findViolations(page: Page, within = 'html'): Promise<readonly Violation[]> {
  // As text of the debugger: a script of the page would be against its security policy.
  await page.evaluate(axe.source);
  const { violations } = await page.evaluate<{
    violations: { id: string; nodes: { target: string[]; failureSummary?: string }[] }[];
  }>(`axe.run(${JSON.stringify(within)}, { resultTypes: ['violations'] })`);
  return violations.map(({ id, nodes }) => ({
    rule: id,
    where: nodes.map(({ target, failureSummary }) => `${target.join(' ')}: ${failureSummary}`),
  }));
}

/** What is still broken after so many looks stays so. */
const LOOKS = 5;
const BETWEEN_LOOKS_MS = 200;
const LAYOUT_FAULTS = readFileSync(new URL('./in-page/layout-faults.js', import.meta.url), 'utf8');

/**
 * Looks for what a reader would call broken at the current width: a page that scrolls sideways, text that
 * is cut off or covered, controls that are covered.
 *
 * @returns a sentence for each fault
 */
export async function findLayoutFaults(page: Page): Promise<readonly string[]> {
  for (let look = 1; ; look += 1) {
    const faults = await page.evaluate<readonly string[]>(LAYOUT_FAULTS);
    // A chart is drawn anew some frames after its width has changed; on a busy machine each takes a while.
    if (faults.length === 0 || look === LOOKS) return faults;
    await page.waitForTimeout(BETWEEN_LOOKS_MS);
  }
}

/** The panel of that title. */
export function panel(page: Page, title: string): Locator {
  return page.getByRole('region', { name: title, exact: true });
}

/** The row of a table in which the first cell begins with that name. */
export function row(page: Page, table: string, name: string): Locator {
  return page
    .getByRole('table', { name: table, exact: true })
    .getByRole('row')
    .filter({ has: page.getByRole('rowheader', { name: new RegExp(`^${name}`) }) });
}

/** The texts of a row's cells. */
export function cells(of: Locator): Promise<readonly string[]> {
  return of.locator('th, td').allInnerTexts();
}

/** The first number in a text, without the commas of thousands. */
export function numberIn(text: string | null | undefined): number {
  return Number(
    /[−-]?\d[\d,]*(\.\d+)?/
      .exec(text ?? '')?.[0]
      ?.replaceAll(',', '')
      .replace('−', '-') ?? Number.NaN,
  );
}
