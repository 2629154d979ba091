/**
 * One model, opened in one way: what opening and runs take, and what it holds. Arguments: graph, way, labels,
 * and `arena` if ONNX Runtime's arena is on. CPU time of one thread: other work on the machine hardly matters.
 */
import { InferenceSession, Tensor } from 'onnxruntime-node';
import { usualPlan } from '../../src/models/run/bindings.js';
import { MappedSession } from '../../src/models/run/onnx-session.js';
import { readOwnMemory } from '../../src/system/process-memory.js';
import { median } from '../harness/spread.js';
import { type GearReport, SHAPES } from './gear-shapes.js';

const OPENINGS = 4;
const RUNS = 9;
const LEAST_MS = 200;
const FIRST_ID = 5;
const IDS = 1500;

const [graph = '', way = 'plain', labels = '2', withArena = ''] = process.argv.slice(2);
const arena = withArena === 'arena';

interface Open {
  readonly run: (items: number, tokens: number) => Promise<unknown>;
  readonly release: () => Promise<void>;
}

function ids(count: number): readonly number[] {
  return Array.from({ length: count }, (_, at) => FIRST_ID + ((at * 37) % IDS));
}

async function openPlain(): Promise<Open> {
  const session = await InferenceSession.create(graph, {
    ...{ intraOpNumThreads: 1, interOpNumThreads: 1, logSeverityLevel: 3 },
    enableCpuMemArena: arena,
  });
  const run = (items: number, tokens: number) => {
    const feeds: Record<string, Tensor> = {};
    for (const name of session.inputNames) {
      const values = ids(items * tokens).map((id) => BigInt(name === 'input_ids' ? id : 1));
      feeds[name] = new Tensor('int64', BigInt64Array.from(values), [items, tokens]);
    }
    return session.run(feeds);
  };
  return { run, release: () => session.release() };
}

async function openMapped(gear: 'cold' | 'hot'): Promise<Open> {
  const session = await MappedSession.open(graph, { threads: 1, arena, gear });
  const plan = usualPlan(session, Number(labels));
  const run = (items: number, tokens: number) =>
    session.run(
      Array.from({ length: items }, () => ({ ids: ids(tokens), truncated: false })),
      plan,
    );
  return { run, release: () => session.release() };
}

async function cpuMs(work: () => Promise<unknown>): Promise<number> {
  const begun = process.cpuUsage();
  await work();
  const { user, system } = process.cpuUsage(begun);
  return (user + system) / 1000;
}

const openOnce = () => (way === 'plain' ? openPlain() : openMapped(way === 'hot' ? 'hot' : 'cold'));
globalThis.gc?.();
const start = await readOwnMemory();
const openMs: number[] = [];
let open: Open | undefined;
for (let n = 0; n < OPENINGS; n += 1) {
  await open?.release();
  const took = await cpuMs(async () => {
    open = await openOnce();
  });
  // The first opening starts ONNX Runtime as well.
  if (n > 0) openMs.push(took);
}
const runMs: Record<string, number> = {};
for (const [items, tokens] of SHAPES) {
  const times: number[] = [];
  await open?.run(items, tokens);
  // Ticks of the CPU clock are coarse: small models need more runs.
  for (let sum = 0; times.length < RUNS || sum < LEAST_MS; sum += times.at(-1) ?? 0) {
    times.push(await cpuMs(async () => open?.run(items, tokens)));
  }
  runMs[`${items}×${tokens}`] = median(times);
}
globalThis.gc?.();
const privateBytes = (await readOwnMemory()).privateBytes - start.privateBytes;
const report: GearReport = { openMs: median(openMs), runMs, privateMb: privateBytes / 2 ** 20 };
process.send?.(report);
