// `npm run docs:figures`: writes docs/figures.md, and the parts of other documents that are figures, from bench/results.
// A test holds them to what this writes.
import { pathToFileURL } from 'node:url';
import { buildBenchmarks, compiled } from '../bench/build.mjs';

if (!buildBenchmarks()) process.exit(2);
const { writeFigures } = await import(pathToFileURL(compiled('figures', 'write.js')).href);
await writeFigures();
