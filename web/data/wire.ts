/**
 * What the server sends, under the names that this page uses. Types only: no code of the server comes
 * into the page. MB are 2^20 bytes, times are ISO 8601.
 */

export type { CacheView } from '../../src/contract/cache.js';
export type { Answer, ClassifyRequest, LabelScore } from '../../src/contract/classify.js';
export type {
  Entity,
  RerankAnswer,
  RerankRequest,
  TokenClassificationAnswer,
  TokenClassificationRequest,
  ZeroShotAnswer,
  ZeroShotRequest,
} from '../../src/contract/doors/tasks.js';
export type {
  Mark,
  PageState as State,
  ShownProcess as ProcessView,
} from '../../src/contract/events.js';
export type { FleetServer, SessionFleet } from '../../src/contract/fleet.js';
export type { JobView as Job } from '../../src/contract/jobs.js';
export type {
  ModelDetail,
  ModelOfState,
  ModelView,
  PullView as Pull,
  ShownVerdict as Verdict,
  TaskName,
} from '../../src/contract/models.js';
export type { ProofStarted, Proofs, ProofView as Proof } from '../../src/contract/proofs.js';
export type { Figures, Receipt, Receipts } from '../../src/contract/receipts.js';
export type { PastEvent, PastEvents } from '../../src/contract/records.js';
export type {
  OpenSessionView as OpenSession,
  Sessions,
  SessionView,
} from '../../src/contract/sessions.js';
export type { ProcessReadings, Readings } from '../../src/contract/state/memory.js';
export type { PoolView } from '../../src/contract/state/pools.js';
export type { WorkerView } from '../../src/contract/state/workers.js';

import type { Mark } from '../../src/contract/events.js';
import type { Receipt } from '../../src/contract/receipts.js';
import type { Reading as Second } from '../../src/contract/state/memory.js';

export type MarkKind = Mark['kind'];
export type ReceiptAction = Receipt['actions'][number];

/** What the chart draws of a second, or of the means of a minute. */
export type Reading = Pick<
  Second,
  'at' | 'server_used_mb' | 'load_line_mb' | 'private_mb' | 'pss_mb'
>;
