import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { childrenOf } from '../harness/children.js';
import { findNpm, NPM_MAJORS } from '../../scripts/test-nodes.mjs';
import { readProcessMemory } from '../../src/system/process-memory.js';
import { atMost, type Benchmark, type Context, type Outcome } from '../harness/benchmark.js';
