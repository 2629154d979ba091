import { jobShardSchema } from './jobs.js';
import { verdictSchema } from './models.js';
import { limitedSpan } from './schema/lists.js';
import {
  choice,
  instant,
  integer,
  list,
  nullable,
  number,
  object,
  optional,
  type Static,
  text,
} from './schema/schema.js';

/** Memory on one side of a receipt. */
export const figuresSchema = object({
  server_total_mb: number('Memory of the machine, or the cgroup’s limit.'),
  server_used_mb: number(),
  server_percent: number(),
  private_mb: number('What only our processes can give back, summed up.'),
  pss_mb: number('Proportional sizes, summed up.'),
});
export type Figures = Static<typeof figuresSchema>;

export const receiptActionSchema = object({
  action: text(),
  model: optional(text()),
  worker: optional(text()),
  duration_ms: number(),
  freed_mb: number(),
  entries: optional(integer('Entries that were removed from a cache.')),
});
export type ReceiptAction = Static<typeof receiptActionSchema>;

export const RECEIPT_KINDS = [
  'cleanup',
  'unload',
  'eviction',
  'recycle',
  'pressure',
  'shift',
  'verdict',
] as const;

export const receiptSchema = object(
  {
    id: text(),
    kind: choice(RECEIPT_KINDS),
    cause: text(),
    session: nullable(text()),
    job: optional(jobShardSchema),
    started_at: instant(),
    duration_ms: number(),
    before: figuresSchema,
    after: figuresSchema,
    freed_mb: number('server_used_mb before − after; negative if it rose.'),
    freed_private_mb: number('private_mb before − after; negative if it rose.'),
    actions: list(receiptActionSchema),
    verdict: optional(verdictSchema),
  },
  'The stored record of one action on memory. MB = 2^20 bytes.',
);
export type Receipt = Static<typeof receiptSchema>;

export const receiptsSchema = object({ receipts: list(receiptSchema) });
export type Receipts = Static<typeof receiptsSchema>;

export const receiptsQuerySchema = limitedSpan({
  kind: optional(text({ maxLength: 40 })),
  session: optional(text({ maxLength: 100 })),
});
