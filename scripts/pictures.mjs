// `npm run docs:pictures`: the pictures of the README, of real runs: the page of a server that is under proof, light and
// dark, and the memory chart of the last proof. Needs Chromium; writes docs/pictures/.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { startChromium } from './chromium.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));
const pictures = path.join(root, 'docs', 'pictures');
/** One after another, so that the chart has something to show. */
const PROOFS = 3;
const SIZE = { width: 1280, height: 1180 };
const PROOF_MS = 300_000;

/** The built server on a free port, and where it listens. */
async function startServer(data) {
  const args = ['serve', '--port', '0', '--data', data, '--set', 'log.format=json'];
  const child = spawn(process.execPath, [path.join(root, 'dist', 'main.js'), ...args], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  for await (const line of createInterface({ input: child.stdout })) {
    const address = /"address":"(http:[^"]+)"/.exec(line)?.[1];
    if (address === undefined) continue;
    child.stdout.resume();
    return { child, address };
  }
  throw new Error('the server ended before it listened');
}

/** Starts a proof from the page and waits for its report. @returns its view */
async function runProof(page, address, number) {
  await page.getByRole('button', { name: 'Start a proof' }).click();
  const report = page.getByText('Open the report').nth(number);
  await report.waitFor({ timeout: PROOF_MS });
  const { proofs } = await (await fetch(`${address}/v1/proofs`)).json();
  process.stdout.write(`proof ${number + 1} of ${PROOFS}: ${proofs[0].state}\n`);
  return proofs[0];
}

async function takePictures(page, address, data) {
  await page.setViewportSize(SIZE);
  await page.goto(address);
  await page.locator('.gauge-used').waitFor();
  let proof;
  for (let number = 0; number < PROOFS; number += 1) proof = await runProof(page, address, number);
  for (const theme of ['light', 'dark']) {
    await page.emulateMedia({ colorScheme: theme });
    await page.reload();
    await page
      .getByText(/^session ended by the caller/)
      .first()
      .waitFor();
    await page.evaluate('scrollTo(0, 0)');
    await page.screenshot({ path: path.join(pictures, `page-${theme}.png`) });
  }
  const chart = path.join(data, 'proofs', proof.id, 'charts', 'run.svg');
  cpSync(chart, path.join(pictures, 'proof-memory.svg'));
  return proof.state === 'passed';
}

mkdirSync(pictures, { recursive: true });
const data = mkdtempSync(path.join(tmpdir(), 'plimsoll-pictures-'));
const { child, address } = await startServer(data);
const browser = await startChromium();
try {
  const passed = await takePictures(await browser.context.newPage(), address, data);
  process.stdout.write(`written: ${path.relative(process.cwd(), pictures)}\n`);
  if (!passed) process.exitCode = 1;
} finally {
  await browser.close();
  const exited = once(child, 'exit');
  child.kill();
  await exited;
  rmSync(data, { recursive: true, force: true });
}
