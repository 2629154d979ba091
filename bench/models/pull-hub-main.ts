/** A hub in its own process, with one model whose weights have as many random bytes as it is told. */
import { randomFillSync } from 'node:crypto';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { HubServer } from '../../test/servers/hub.js';
import { bundledModel } from '../harness/models.js';

const SMALL = ['config.json', 'tokenizer.json', 'tokenizer_config.json'];
const FILL_BYTES = 2 ** 20;
const weights = Buffer.allocUnsafe(Number(process.argv[2]));
for (let at = 0; at < weights.byteLength; at += FILL_BYTES) {
  randomFillSync(weights.subarray(at, at + FILL_BYTES));
}
const hub = await HubServer.start(
  new Map([
    // Read before the weights come: a model that could not be served is refused then.
    ...SMALL.map((name) => [name, readFileSync(path.join(bundledModel.directory, name))] as const),
    ['model.safetensors', weights],
  ]),
);
process.send?.({ endpoint: hub.endpoint, storage: hub.storage });
process.on('message', (message) => {
  if (message === 'cut') {
    Object.assign(hub.faults, { cutAfterBytes: weights.byteLength / 2, cuts: 1 });
    hub.seen.length = 0;
  }
  const ranges = hub.requestsFor('blob/model.safetensors').map(({ range }) => range ?? '');
  process.send?.(ranges);
});
process.on('disconnect', () => process.exit(0));
