// `npm run docs:reference`: plays the reference profile, keeps its report as docs/proof/reference.json.gz, and writes its
// figures beside the reference's into docs/proof.md. A test holds the two together.
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import { referenceTable } from '../dist/proof/report/markdown-load.js';

/** As the proof itself sees it: see THRESHOLDS.othersCpuPercent. */
const MOST_OTHERS_PERCENT = 15;
const root = fileURLToPath(new URL('..', import.meta.url));

/** @returns the exit code */
function run(folder) {
  const main = path.join(root, 'dist', 'main.js');
  const [out, data] = [path.join(folder, 'proof'), path.join(folder, 'data')];
  const args = [main, 'prove', '--out', out, '--data', data];
  const { status } = spawnSync(process.execPath, args, { stdio: 'inherit' });
  if (status !== 0) return status ?? 1;
  const json = readFileSync(path.join(out, 'report.json'));
  const report = JSON.parse(json.toString('utf8'));
  const { others_cpu_percent: others } = report.figures;
  if (others > MOST_OTHERS_PERCENT && !process.argv.includes('--anyway')) {
    const share = `other programs took ${others.toFixed(0)} % of the machine's CPU time`;
    process.stdout.write(`Nothing is kept: ${share}. Use -- --anyway to keep it.\n`);
    return 1;
  }
  const kept = path.join(root, 'docs', 'proof');
  mkdirSync(kept, { recursive: true });
  writeFileSync(path.join(kept, 'reference.json.gz'), gzipSync(json, { level: 9 }));
  const page = path.join(root, 'docs', 'proof.md');
  const table = referenceTable(report).join('\n');
  const between = /(<!-- reference -->\n)[\s\S]*?(<!-- \/reference -->)/;
  const text = readFileSync(page, 'utf8');
  writeFileSync(
    page,
    text.replace(between, (_, start, end) => `${start}${table}\n${end}`),
  );
  return 0;
}

const folder = mkdtempSync(path.join(tmpdir(), 'plimsoll-reference-'));
try {
  process.exitCode = run(folder);
} finally {
  rmSync(folder, { recursive: true, force: true });
}
