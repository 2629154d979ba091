import { ownErrors } from '../../errors.js';
import type { Door } from '../door.js';
import { classifyRoutes } from './asking/classify.js';
import { taskRoutes } from './asking/tasks.js';
import { tokenizeRoutes } from './asking/tokenize.js';
import { cacheRoutes } from './cache.js';
import { configRoutes } from './config.js';
import { eventRoutes } from './events.js';
import { fleetRoutes } from './fleet.js';
import { jobEventRoutes } from './jobs/job-events.js';
import { jobRoutes } from './jobs/jobs.js';
import { memoryRoutes } from './memory.js';
import { modelRoutes } from './models.js';
import { poolRoutes } from './pools.js';
import { proofRoutes } from './proofs.js';
import { pullRoutes } from './pulls.js';
import { recordRoutes } from './records.js';
import { sessionRoutes } from './sessions.js';
import { workerRoutes } from './workers.js';

/** Plimsoll's own protocol, which the page, the proof and the benchmarks speak. */
export const plimsoll: Door = {
  name: 'plimsoll',
  errors: ownErrors,
  open: (app, services, calls) => {
    classifyRoutes(app, services, calls);
    taskRoutes(app, services, calls);
    sessionRoutes(app, services);
    recordRoutes(app, services);
    memoryRoutes(app, services);
    fleetRoutes(app, services);
    modelRoutes(app, services);
    pullRoutes(app, services);
    tokenizeRoutes(app, services, calls);
    poolRoutes(app, services);
    configRoutes(app, services);
    workerRoutes(app, services);
    eventRoutes(app, services);
    cacheRoutes(app, services);
    proofRoutes(app, services);
    jobRoutes(app, services);
    jobEventRoutes(app, services);
  },
};
