// `npm test`: installs what tests need beyond npm, then runs formatter and linter, types, build, unit tests, end-to-end tests, and the main job
// under every Node. The last line says how many tests passed and failed; a step that is not a test run counts as one test.
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { findNode, findNpm, NODE_MAJORS, NPM_MAJORS } from './test-nodes.mjs';
import { installTools } from './test-tools.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));
const scratch = mkdtempSync(path.join(tmpdir(), 'plimsoll-test-'));
const bin = (name) => path.join(root, 'node_modules', '.bin', name);
const totals = { passed: 0, failed: 0, skipped: 0 };
const skippedNames = [];

/** @param output `inherit`: shown as it comes; `pipe`: shown when the step has ended, as others run beside it */
async function run(name, command, args, output = 'inherit') {
  const begun = Date.now();
  if (output === 'inherit') process.stdout.write(`\n── ${name}\n`);
  const child = spawn(command, args, { cwd: root, stdio: ['inherit', output, output] });
  const printed = [];
  for (const stream of [child.stdout, child.stderr])
    stream?.on('data', (part) => printed.push(part));
  const status = await new Promise((resolve) => {
    child.once('close', resolve);
    child.once('error', (error) => resolve(error.message));
  });
  const seconds = ((Date.now() - begun) / 1000).toFixed(1);
  if (output === 'pipe') process.stdout.write(`\n── ${name}\n${Buffer.concat(printed)}`);
  if (typeof status === 'string') process.stdout.write(`${status}\n`);
  process.stdout.write(`── ${name}: ${status === 0 ? 'ok' : 'FAILED'} in ${seconds} s\n`);
  return status === 0;
}

async function step(name, command, args, output) {
  if (await run(name, command, args, output)) totals.passed += 1;
  else totals.failed += 1;
}

/** @param project name of the project; `*` stands for anything */
async function suite(name, project) {
  const report = path.join(scratch, `${project.replace('*', '')}.json`);
  const args = [
    'run',
    '--project',
    project,
    '--reporter=default',
    '--reporter=json',
    `--outputFile.json=${report}`,
  ];
  const ok = await run(name, bin('vitest'), args);
  try {
    const result = JSON.parse(readFileSync(report, 'utf8'));
    totals.passed += result.numPassedTests;
    totals.failed += result.numFailedTests;
    for (const file of result.testResults) {
      for (const test of file.assertionResults) {
        if (test.status === 'passed' || test.status === 'failed') continue;
        totals.skipped += 1;
        skippedNames.push(`${test.fullName} (${test.status})`);
      }
    }
    // A file that could not be loaded, or an error between tests, fails the run without a failed test.
    if (!ok && result.numFailedTests === 0) totals.failed += 1;
    if (result.numTotalTests === 0) totals.failed += 1;
  } catch {
    totals.failed += 1;
  }
}

/** A step for one version of a program; where that cannot be had, it is skipped by name. */
async function stepWith(name, { version, program, reason }, script) {
  if (program === undefined) {
    totals.skipped += 1;
    skippedNames.push(`${name} ${version} (${reason})`);
    return;
  }
  await step(`${name} ${version}`, process.execPath, [path.join(root, 'scripts', script), program]);
}

try {
  process.stdout.write('── set-up: what the tests need beyond npm\n');
  for (const name of installTools()) {
    process.stdout.write(`missing: ${name}; the tests that need it are skipped, by name\n`);
  }
  const checks = [
    ['formatter and linter', bin('biome'), ['check', '.']],
    ['types', bin('tsc'), ['-p', 'tsconfig.json', '--noEmit']],
    ['types of the page', bin('tsc'), ['-p', 'web/tsconfig.json', '--noEmit']],
    ['types of the benchmarks', bin('tsc'), ['-p', 'tsconfig.bench.json', '--noEmit']],
    ['build', process.execPath, [path.join(root, 'scripts', 'build.mjs')]],
  ];
  await Promise.all(checks.map((check) => step(...check, 'pipe')));
  for (const major of NPM_MAJORS) {
    await stepWith('installing with npm', findNpm(major), 'check-install.mjs');
  }
  await suite('unit tests', 'unit*');
  await suite('end-to-end tests', 'e2e');
  await suite('end-to-end tests of the proof', 'e2e-proof');
  for (const major of NODE_MAJORS) {
    await stepWith('main job under Node', findNode(major), 'smoke.mjs');
  }
} finally {
  rmSync(scratch, { recursive: true, force: true });
}
for (const name of skippedNames) process.stdout.write(`skipped: ${name}\n`);
const skipped = totals.skipped > 0 ? `, ${totals.skipped} skipped` : '';
process.stdout.write(`\n${totals.passed} passed, ${totals.failed} failed${skipped}\n`);
process.exit(totals.failed > 0 || (process.env.CI && totals.skipped > 0) ? 1 : 0);
