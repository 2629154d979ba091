import type { JobView } from '../../contract/jobs.js';
import { messageOf } from '../../errors.js';
import { pause } from '../../system/pause.js';
import { JobDisplay } from './job-display.js';
import { type BulkJobs, ServerRefusal } from './remote-jobs.js';

const LOOK_MS = 1000;

/**
 * Shows a job until it has ended. A server that does not answer may be back at the next look: the job goes on without us.
 *
 * @returns undefined if the signal came first
 * @throws ServerRefusal if the server knows no such job, or does not let us see it: that does not pass
 */
export async function followed(
  jobs: Pick<BulkJobs, 'show'>,
  id: string,
  signal: AbortSignal,
  lookMs = LOOK_MS,
): Promise<JobView | undefined> {
  const display = new JobDisplay(process.stderr);
  let lastFault = '';
  try {
    while (!signal.aborted) {
      try {
        const job = await jobs.show(id);
        if (job.ended_at !== null) return job;
        display.show(job);
        lastFault = '';
      } catch (error) {
        if (error instanceof ServerRefusal && error.isFinal) throw error;
        const fault = messageOf(error);
        if (fault !== lastFault) process.stderr.write(`\n${fault}; looking again\n`);
        lastFault = fault;
      }
      await pause(lookMs, signal);
    }
    return undefined;
  } finally {
    display.end();
  }
}
