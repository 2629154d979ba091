import { integer, list, number, object, type Static, text } from '../schema/schema.js';

export const poolSchema = object({
  name: text(),
  min: integer(),
  max: integer(),
  open: integer(),
  idle: integer(),
  in_use: integer(),
  waiting: integer(),
  opened: integer('Connections since the start; so are the counts below.'),
  recycled: integer('Closed for their age.'),
  broken: integer('Discarded because they broke or did not pass their check.'),
  checkouts: integer(),
  timeouts: integer(),
  wait_ms_mean: number(),
  wait_ms_max: number(),
});
export type PoolView = Static<typeof poolSchema>;

export const poolsSchema = object({ pools: list(poolSchema) });
export type Pools = Static<typeof poolsSchema>;
