/** Jobs as ledgers keep them, read back: another version or another hand may have written them. Pure. */
import { JOB_STATES, type JobRequest } from '../../../contract/jobs.js';
import {
  type Guard,
  isFlag,
  isList,
  isNumber,
  isOneOf,
  isText,
  orNull,
  shapeOf,
} from '../../../contract/schema/shape.js';
import type { JobModel, JobState, ShardStateName } from '../queue.js';
import type { JobRecord } from './ledger.js';

const isPlace = isList(isText);
/** What no job can do without. The rest was checked when it was asked for, and is looked at again when it runs. */
const hasPlaces = shapeOf<Pick<JobRequest, 'input' | 'output'>>({
  ...{ input: (value) => isText(value) || isPlace(value), output: isText },
});
const isRequest: Guard<JobRequest> = (value): value is JobRequest => hasPlaces(value);

export const isJobModel = shapeOf<JobModel>({
  ...{ id: isText, commit: orNull(isText), dtype: isText },
});

const isState = shapeOf<JobState>({
  ...{ id: isText, request: isRequest, state: isOneOf(JOB_STATES), createdAtMs: isNumber },
  ...{ startedAtMs: orNull(isNumber), endedAtMs: orNull(isNumber) },
  ...{ files: isNumber, planned: isFlag, rows: isNumber, bad: isNumber },
  shards: shapeOf<Record<ShardStateName, number>>({
    ...{ waiting: isNumber, running: isNumber, done: isNumber, failed: isNumber },
  }),
  ...{ bytes: isNumber, bytesDone: isNumber, model: orNull(isJobModel) },
  ...{ manifest: orNull(isText), error: orNull(isText) },
});

/**
 * @param request and ended: JSON
 * @returns undefined if they are no job: such a row is as good as none
 */
export function storedJob(stored: {
  readonly id: string;
  readonly request: string;
  readonly createdAtMs: number;
  readonly ended: string | null;
}): JobRecord | undefined {
  const { id, createdAtMs } = stored;
  const request = parsed(stored.request);
  const ended = stored.ended === null ? null : parsed(stored.ended);
  if (!isRequest(request) || !isNumber(createdAtMs)) return undefined;
  return ended === null || isState(ended) ? { id, request, createdAtMs, ended } : undefined;
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
