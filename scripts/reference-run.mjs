// `npm run docs:reference`: plays the reference profile, keeps its report as docs/proof/reference.json.gz, and writes its
// figures beside the reference's into the README. A test holds the two together.
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import { referenceTable } from '../dist/proof/markdown-load.js';

const root = fileURLToPath(new URL('..', import.meta.url));
const folder = mkdtempSync(path.join(tmpdir(), 'plimsoll-reference-'));
try {
  const main = path.join(root, 'dist', 'main.js');
  const args = [
    main,
    'prove',
    '--out',
    path.join(folder, 'proof'),
    '--data',
    path.join(folder, 'data'),
  ];
  const { status } = spawnSync(process.execPath, args, { stdio: 'inherit' });
  if (status !== 0) process.exit(status ?? 1);
  const json = readFileSync(path.join(folder, 'proof', 'report.json'));
  mkdirSync(path.join(root, 'docs', 'proof'), { recursive: true });
  writeFileSync(
    path.join(root, 'docs', 'proof', 'reference.json.gz'),
    gzipSync(json, { level: 9 }),
  );
  const readme = path.join(root, 'README.md');
  const table = referenceTable(JSON.parse(json.toString('utf8'))).join('\n');
  const between = /(<!-- reference -->\n)[\s\S]*?(<!-- \/reference -->)/;
  writeFileSync(
    readme,
    readFileSync(readme, 'utf8').replace(between, (_, start, end) => `${start}${table}\n${end}`),
  );
} finally {
  rmSync(folder, { recursive: true, force: true });
}
