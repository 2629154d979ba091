import { ExampleWork, Gate, pieces, until } from './example-work.js';
import { openAt, type Place } from './places.js';

/** What a machine of its own is told, and tells. */
export interface MachineOrder {
  readonly place: Place;
  readonly server: string;
  readonly shards: number;
  /** It stops working within the shard of that number, for ever. */
  readonly stuckAt: number;
  readonly stuckInPlanning: boolean;
}

/** A server in a process of its own: it works until it is stuck, says so, and waits for its end. */
const order = JSON.parse(process.argv[2] ?? '') as MachineOrder;
const { queue } = await openAt(order.place, order.server);
const work = new ExampleWork(order.server, order.shards);
const stuck = async (signal: AbortSignal) => {
  process.send?.('stuck');
  await until(new Gate(), signal);
};
const { run } = work;
work.run = async (job, shard, signal) => {
  if (shard.index === order.stuckAt) await stuck(signal);
  return run(job, shard, signal);
};
if (order.stuckInPlanning) {
  work.plan = async function* (_job, signal) {
    yield* pieces(order.shards, 3);
    await stuck(signal);
  };
}
queue.work(work, 2);
// The module that imports this one ends with it.
await new Promise(() => undefined);
