/** Models in the hot gear: what most measurements of speed wait for first. */
import { readConfig, threadsPerWorker } from '../../../src/settings/config.js';
import { availableCpus } from '../../../src/system/cpus.js';
import type { Api } from '../api.js';
import { pause } from '../load.js';

/** Threads of a session in a server with default settings: the plain session gets as many. */
export async function defaultThreads(): Promise<number> {
  const cpus = await availableCpus();
  return threadsPerWorker(readConfig({}, {}, { cpus }), cpus);
}

/** The gear of each worker that holds the model. */
export async function gearsOf(api: Api, model: string): Promise<readonly string[]> {
  const { models } = await api.models();
  const found = models.find(({ id }) => id === model);
  return (found?.workers ?? []).map(({ state }) => state).filter((state) => state !== 'unloaded');
}

/** Sends requests until a worker has the model in the hot gear. @returns whether one has within that time */
export async function untilHot(
  api: Api,
  model: string,
  text: string,
  ms: number,
): Promise<boolean> {
  const begun = performance.now();
  while (!(await gearsOf(api, model)).includes('hot')) {
    if (performance.now() - begun > ms) return false;
    for (let n = 0; n < 10; n += 1) await api.classify({ model, inputs: text });
    await pause(10);
  }
  return true;
}
