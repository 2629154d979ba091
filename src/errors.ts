/**
 * Every error that a caller can meet: its code, HTTP status, and whether the same request may
 * succeed later. `docs/errors.md` lists them too; a test holds the two against each other.
 */
export const ERRORS = {
  MALFORMED_JSON: { status: 400, retryable: false, about: 'The body is not JSON.' },
  INVALID_REQUEST: {
    status: 400,
    retryable: false,
    about: 'A field is missing, unknown, of the wrong type or out of bounds; the message names it.',
  },
  UNAUTHORIZED: {
    status: 401,
    retryable: false,
    about:
      'This server asks for a key, and there was none, or one that it does not know, or that is expired or revoked. Send it as `Authorization: Bearer …`, `X-API-Key` or `api-key`.',
  },
  FORBIDDEN: {
    status: 403,
    retryable: false,
    about: 'The key is valid, and lacks the scope that the address needs; the message names it.',
  },
  CROSS_SITE: {
    status: 403,
    retryable: false,
    about: 'A web page of another site asked for something that only its own page may.',
  },
  PULL_NOT_ALLOWED: {
    status: 403,
    retryable: false,
    about:
      'This server fetches no models over HTTP: start it with `--set hub.pull=true`, or use `plimsoll pull` or `plimsoll serve --model`.',
  },
  NOT_FOUND: { status: 404, retryable: false, about: 'No such address.' },
  MODEL_NOT_FOUND: { status: 404, retryable: false, about: 'No model has that name.' },
  SESSION_NOT_FOUND: { status: 404, retryable: false, about: 'No session has that id.' },
  WORKER_NOT_FOUND: { status: 404, retryable: false, about: 'No worker has that id.' },
  PULL_NOT_FOUND: { status: 404, retryable: false, about: 'No pull has that id.' },
  JOB_NOT_FOUND: { status: 404, retryable: false, about: 'No job has that id.' },
  KEY_NOT_FOUND: {
    status: 404,
    retryable: false,
    about: 'The database has no key of that name that is not revoked.',
  },
  PROOF_NOT_FOUND: {
    status: 404,
    retryable: false,
    about: 'No proof has that id, or it has no report.',
  },
  METHOD_NOT_ALLOWED: {
    status: 405,
    retryable: false,
    about: 'The address does not take this method; `Allow` names those that it takes.',
  },
  REQUEST_TIMEOUT: {
    status: 408,
    retryable: true,
    about: 'The request did not arrive in time: 10 s for its head, 30 s for all of it.',
  },
  SESSION_FULL: {
    status: 409,
    retryable: false,
    about: 'The session has its full number of users; open another one.',
  },
  SESSION_ENDED: { status: 409, retryable: false, about: 'The session has ended; open another.' },
  JOB_ENDED: {
    status: 409,
    retryable: false,
    about: 'The job has ended: there is nothing to cancel, or nothing left to do.',
  },
  JOB_RUNNING: {
    status: 409,
    retryable: true,
    about: 'The job has not ended yet; its failed shards can be tried again then.',
  },
  MODEL_EXISTS: {
    status: 409,
    retryable: false,
    about:
      'A folder of this server has that name already: a model of a hub must not take its place.',
  },
  KEY_EXISTS: {
    status: 409,
    retryable: false,
    about: 'There is a key of that name, or there are 10,000 keys already.',
  },
  RECYCLE_RUNNING: {
    status: 409,
    retryable: true,
    about: 'Workers are being replaced already; one worker can be asked for when that is done.',
  },
  PROOF_RUNNING: {
    status: 409,
    retryable: true,
    about: 'A proof of this server is running; there is one at a time.',
  },
  BODY_TOO_LARGE: { status: 413, retryable: false, about: 'The body is over `http.body_limit`.' },
  UNSUPPORTED_MEDIA_TYPE: {
    status: 415,
    retryable: false,
    about: 'The body is of another type than application/json.',
  },
  ANSWER_TOO_LARGE: {
    status: 413,
    retryable: false,
    about:
      'Inputs × labels of the answer, or the entities or tokens found, are over `request.max_answer_scores`; the message has the figures. Send fewer inputs or set `top_k`.',
  },
  INPUT_REFUSED: {
    status: 422,
    retryable: false,
    about:
      'The input took far longer than texts of its length take, or ended the workers that ran it. The same text is refused for some minutes.',
  },
  INVALID_INPUT: {
    status: 422,
    retryable: false,
    about: 'An input is empty, not a string, or there are too many of them.',
  },
  TASK_NOT_SUPPORTED: {
    status: 422,
    retryable: false,
    about:
      'The model does other tasks than the one that was asked; the message says which, and what kind of model this takes.',
  },
  UNKNOWN_HOST: {
    status: 421,
    retryable: false,
    about: 'The Host header has a name that this server does not go by; see `http.names`.',
  },
  SERVER_ROLE: {
    status: 421,
    retryable: false,
    about:
      'This server has the role `worker` (`server.role`): it works on jobs and answers no callers. Ask another one; `GET /v1/fleet` lists them.',
  },
  MODEL_UNUSABLE: {
    status: 424,
    retryable: false,
    about:
      "The model's files cannot be used; the message says why. Mend the files and try again. With `Retry-After` it is only set aside for a while.",
  },
  HEADERS_TOO_LARGE: {
    status: 431,
    retryable: false,
    about: 'The head of the request is larger than 16 KB.',
  },
  TOO_MANY_REQUESTS: {
    status: 429,
    retryable: true,
    about: 'This user holds its full share of the queue already.',
  },
  RATE_LIMITED: {
    status: 429,
    retryable: true,
    about:
      'The key has used up its requests of this second or its inputs of this minute, or too many wrong keys came from this address; `Retry-After` says when to go on.',
  },
  TOO_MANY_INPUTS: {
    status: 413,
    retryable: false,
    about:
      'The request has more inputs than its key may send in a whole minute, so it can never pass; send them in several requests.',
  },
  CLIENT_GONE: {
    status: 499,
    retryable: true,
    about: 'The caller closed the connection before the answer was ready (seen in logs only).',
  },
  INTERNAL: {
    status: 500,
    retryable: true,
    about: 'A fault of the server. It is in the log under the request id.',
  },
  QUEUE_FULL: {
    status: 503,
    retryable: true,
    about:
      'Too many inputs are waiting, or the answer would probably come after `request.deadline_ms`.',
  },
  TOO_MANY_CONNECTIONS: {
    status: 503,
    retryable: true,
    about:
      'Every connection of `http.max_connections` is being answered; beside them only health and metrics are.',
  },
  TOO_MANY_SESSIONS: { status: 503, retryable: true, about: 'Too many sessions are open.' },
  TOO_MANY_PULLS: {
    status: 503,
    retryable: true,
    about: 'Too many models wait to be fetched (`hub.max_waiting`).',
  },
  TOO_MANY_JOBS: {
    status: 503,
    retryable: true,
    about: 'Too many jobs are open (`jobs.max_open`): one has to end first.',
  },
  TOO_MANY_VIEWERS: { status: 503, retryable: true, about: 'Too many pages are open.' },
  MEMORY_PRESSURE: {
    status: 503,
    retryable: true,
    about: 'Memory is close to the load line; new work is refused until it falls.',
  },
  WORKER_LOST: {
    status: 503,
    retryable: true,
    about: 'Three workers stopped reacting while they ran this input; the server goes on.',
  },
  POOL_EXHAUSTED: {
    status: 503,
    retryable: true,
    about: 'No connection to the database or to Redis came free within the pool’s wait limit.',
  },
  DATABASE_UNAVAILABLE: {
    status: 503,
    retryable: true,
    about: 'The database does not answer, so what it keeps cannot be shown; requests go on.',
  },
  JOBS_UNAVAILABLE: {
    status: 503,
    retryable: true,
    about:
      'The queue of jobs does not answer: Redis or the database is away. Jobs wait meanwhile, and go on by themselves.',
  },
  REDIS_UNAVAILABLE: {
    status: 503,
    retryable: true,
    about: 'Redis did not answer, so its part of the cache is as it was.',
  },
  STORAGE_UNAVAILABLE: {
    status: 503,
    retryable: true,
    about:
      'The data folder is full, read-only or faulty, so that the model cannot be prepared now, the files of the models do not answer, or a place that a job reads or writes does not; the message says which, and what mends it.',
  },
  FORM_REPLACED: {
    status: 503,
    retryable: true,
    about: "Files of the model's mapped form were missing or damaged; it is being made anew.",
  },
  SHUTTING_DOWN: { status: 503, retryable: true, about: 'The server is stopping.' },
  DEADLINE_EXCEEDED: {
    status: 504,
    retryable: true,
    about: 'The answer was not ready within `request.deadline_ms`.',
  },
  INSUFFICIENT_MEMORY: {
    status: 507,
    retryable: true,
    about:
      'The model, or preparing it, does not fit under the load line; the message has the figures.',
  },
} as const;

/** The name of an error in {@link ERRORS}. */
export type ErrorCode = keyof typeof ERRORS;

/** An error that is meant for the caller: its message is shown, its stack never is. */
export class PlimsollError extends Error {
  readonly code: ErrorCode;
  /** Whole seconds after which a retry makes sense; sent as `Retry-After`. */
  readonly retryAfterSeconds: number | undefined;

  constructor(
    code: ErrorCode,
    message: string,
    options: { readonly cause?: unknown; readonly retryAfterSeconds?: number } = {},
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'PlimsollError';
    this.code = code;
    this.retryAfterSeconds = options.retryAfterSeconds;
  }

  get status(): number {
    return ERRORS[this.code].status;
  }

  get retryable(): boolean {
    return ERRORS[this.code].retryable || this.retryAfterSeconds !== undefined;
  }
}

/** The message of anything that was thrown. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** The `code` that Node gives to system errors (`ENOENT`, `EADDRINUSE`, …). */
export function systemCodeOf(error: unknown): string | undefined {
  if (!(error instanceof Error) || !('code' in error)) return undefined;
  return typeof error.code === 'string' ? error.code : undefined;
}
