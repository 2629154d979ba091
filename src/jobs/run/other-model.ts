import type { JobModel } from '../queue/queue.js';

/** Why a machine's model is not the one that a job began with; undefined if it is. Pure. */
export function otherModel(of: JobModel, here: JobModel): string | undefined {
  if (of.commit === here.commit && of.dtype === here.dtype) return undefined;
  return (
    `the job began with ${of.id} ${shown(of)}, this server has ${shown(here)}: it goes on where that one is; ` +
    'to have all rows done with the new one, cancel the job and retry it'
  );
}

function shown({ commit, dtype }: JobModel): string {
  return `at commit ${commit ?? 'none'} as ${dtype}`;
}
