import type { FastifyInstance } from 'fastify';
import { type JobView, jobPathSchema } from '../../../../contract/jobs.js';
import { text } from '../../../../contract/schema/schema.js';
import { PlimsollError } from '../../../../errors.js';
import { type PlaceHolder, whoGivesWay } from '../../../../system/viewer-places.js';
import { endWithKey } from '../../../guards/stream-guard.js';
import { addRoute } from '../../../route.js';
import type { HttpServices } from '../../../services.js';
import { EventStream, openEventStream } from '../event-stream.js';

/** A job that others work on is looked at this often. */
const LOOK_MS = 1000;
/** Streams of all jobs together: each looks at its job once a second. */
const MOST_STREAMS = 100;
/** Looks without a change until the stream says that it is alive: proxies and readers give up on a silent one. */
const HEARTBEAT_EVERY = 15;
const HEARTBEAT = Buffer.from(': the job is looked at\n\n');

/** `/v1/jobs/{id}/events` */
export function jobEventRoutes(app: FastifyInstance, { jobs, keyCheck }: HttpServices): void {
  const open = new Set<Following>();
  app.addHook('preClose', async () => {
    for (const { end } of open) end();
  });
  addRoute(app, {
    method: 'GET',
    url: '/v1/jobs/:id/events',
    scope: 'read',
    withoutHead: true,
    summary: 'A job as server-sent events: a `job` whenever it has changed, until it has ended',
    tag: 'jobs',
    path: jobPathSchema,
    produces: 'text/event-stream',
    replies: { 200: text('The data of each `job` is the job as GET /v1/jobs/{id} shows it.') },
    handle: async (request, reply) => {
      // First: who asks for a job that is not there takes nobody's place.
      const first = await jobs.show(request.params.id);
      if (open.size >= MOST_STREAMS) whoGivesWay(open, performance.now())?.end();
      if (open.size >= MOST_STREAMS) {
        const message = `${MOST_STREAMS} jobs are watched already`;
        throw new PlimsollError('TOO_MANY_VIEWERS', message, { retryAfterSeconds: 5 });
      }
      const stream = new EventStream(reply.raw);
      openEventStream(reply);
      const { end } = follow(jobs, first, stream, open);
      endWithKey(request, keyCheck, end);
      reply.raw.on('close', end);
      // The caller may have left while the job was looked up.
      if (reply.raw.destroyed) end();
      return reply;
    },
  });
}

/** A stream that follows a job. */
interface Following extends PlaceHolder {
  readonly end: () => void;
}

/** Sends a job whenever it has changed. @param open it is in there until it has ended. */
function follow(
  jobs: HttpServices['jobs'],
  first: JobView,
  stream: EventStream,
  open: Set<Following>,
): Following {
  let last = '';
  let looking = false;
  let quiet = 0;
  const send = (job: JobView) => {
    const data = JSON.stringify(job);
    if (data !== last) {
      quiet = 0;
      stream.send('state', Buffer.from(`event: job\ndata: ${data}\n\n`));
    }
    last = data;
    if (job.ended_at !== null) end();
  };
  const look = async () => {
    quiet += 1;
    if (quiet % HEARTBEAT_EVERY === 0) stream.send('heartbeat', HEARTBEAT);
    if (looking) return;
    looking = true;
    try {
      send(await jobs.show(first.id));
    } catch (error) {
      // The database may be back at the next look; a job that was forgotten is not.
      if (error instanceof PlimsollError && error.code === 'JOB_NOT_FOUND') end();
    } finally {
      looking = false;
    }
  };
  const timer = setInterval(() => void look(), LOOK_MS);
  let ended = false;
  const end = () => {
    if (ended) return;
    ended = true;
    clearInterval(timer);
    open.delete(following);
    stream.end();
  };
  const following: Following = {
    joinedAtMs: performance.now(),
    get stalledMs() {
      return stream.stalledMs;
    },
    end,
  };
  open.add(following);
  send(first);
  return following;
}
