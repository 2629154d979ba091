import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { PlimsollError } from '../../errors.js';
import { FailedAttempts, HELD_MS } from '../../keys/failed-attempts.js';
import { allows } from '../../keys/key.js';
import type { Caller, Found } from '../../keys/keyring.js';
import type { LimitVerdict } from '../../keys/limits.js';
import { credentialOf } from './credentials.js';
import type { RouteScope } from './scopes.js';

/** What the guard needs to know of the keys. */
export interface KeyCheck {
  readonly find: (secret: string, nowMs: number) => Found;
  readonly remembers: (secret: string) => boolean;
  /** Whether callers need a key now: see {@link needOf}. */
  readonly need: () => Need;
  /** Takes one request of the key's limit. */
  readonly takeRequest: (caller: Caller) => LimitVerdict | Promise<LimitVerdict> | undefined;
  /** Takes inputs of the key's limit. */
  readonly takeInputs: (
    caller: Caller,
    count: number,
  ) => LimitVerdict | Promise<LimitVerdict> | undefined;
  /** Counts what was refused, by its reason. */
  readonly onRefusal: (reason: string) => void;
}

/** Whether callers need a key: all do; none does, and one that is sent counts; keys are off; they are not known yet. */
export type Need = 'all' | 'none' | 'off' | 'unknown';

declare module 'fastify' {
  interface FastifyRequest {
    /** Whose key came with the request; undefined without one, and where keys are off. */
    caller: Caller | undefined;
  }
}

/**
 * Whether callers need a key:
 *
 * 1. `http.open` is set: nobody does, and a key that is sent still counts for limits and names.
 * 2. Keys were made, or there is a file of them: all do.
 * 3. Others can reach the server: all do, as it was started with keys and these are gone.
 * 4. The database with the keys has never answered, and a proxy leads others to the server: nobody is let in yet.
 * 5. Else keys are off.
 */
export function needOf(facts: {
  readonly isOpen: boolean;
  readonly areOn: boolean;
  readonly areKnown: boolean;
  readonly isReachable: boolean;
  readonly isBehindProxy: boolean;
}): Need {
  if (facts.isOpen) return facts.areOn ? 'none' : 'off'; // 1
  if (facts.areOn) return 'all'; // 2
  if (facts.isReachable) return facts.areKnown ? 'all' : 'unknown'; // 3
  if (!facts.areKnown && facts.isBehindProxy) return 'unknown'; // 4
  return 'off'; // 5
}

const REALM = 'Bearer realm="plimsoll"';

/**
 * Checks the key of every request to a route that is not open, before its body is read. One hook for each route, which
 * knows the route's scope: `request.routeOptions` is built anew on each access. Call it before routes are added.
 */
export function guardRoutes(app: FastifyInstance, check: KeyCheck): void {
  const attempts = new FailedAttempts();
  app.decorateRequest('caller', undefined);
  const guarding = new Set<unknown>();
  app.addHook('onRoute', (route) => {
    if (route.config?.scope === 'open') return;
    // Read with each request: a plugin's routes get theirs after this hook. One without a scope is closed.
    const hook = guard(() => route.config?.scope ?? 'manage', check, attempts);
    guarding.add(hook);
    // Fastify copies a GET route with its hooks for HEAD.
    const others = [route.onRequest ?? []].flat().filter((other) => !guarding.has(other));
    route.onRequest = [hook, ...others];
  });
}

type Hook = (request: FastifyRequest, reply: FastifyReply, done: (error?: Error) => void) => void;

/**
 * Lets a request pass, or not, in this order:
 *
 * 1. Keys are off, or the route is open: it passes.
 * 2. There is no key: it passes where nobody needs one.
 * 3. The key was not valid before, and its address sent many wrong ones: it waits, or is refused.
 * 4. The key is unknown, expired or revoked: refused, also where nobody needs one.
 * 5. It lacks the scope: refused.
 * 6. Its limit is used up: refused.
 */
function guard(scopeOf: () => RouteScope, check: KeyCheck, attempts: FailedAttempts): Hook {
  const judge = (secret: string, request: FastifyRequest, reply: FastifyReply): Judgement => {
    const found = check.find(secret, Date.now());
    if (found.kind !== 'valid') {
      attempts.failed(request.ip ?? '', performance.now());
      return unauthorized(found.kind, reply, check); // 4
    }
    const scope = scopeOf();
    if (!allows(found.caller.scopes, scope)) return forbidden(found.caller, scope, check); // 5
    request.caller = found.caller;
    const verdict = check.takeRequest(found.caller); // 6
    if (verdict === undefined) return undefined;
    if (!(verdict instanceof Promise)) return limited(verdict, reply, check);
    return verdict.then((late) => limited(late, reply, check));
  };
  const pass = (request: FastifyRequest, reply: FastifyReply): Judgement => {
    const need = check.need();
    if (need === 'off' || scopeOf() === 'open') return undefined; // 1
    if (need === 'unknown') return unknown();
    const secret = credentialOf(request.raw.headers);
    if (secret === undefined) {
      return need === 'none' ? undefined : unauthorized('missing', reply, check); // 2
    }
    if (check.remembers(secret)) return judge(secret, request, reply);
    const address = request.ip ?? '';
    const judged = attempts.judge(address, performance.now()); // 3
    if (judged === 'refuse') return tooMany(check);
    if (judged === 'check') return judge(secret, request, reply);
    const release = attempts.hold(address, performance.now());
    return new Promise<void>((resolve) => {
      setTimeout(resolve, HELD_MS);
    }).then(() => {
      release();
      return judge(secret, request, reply);
    });
  };
  return (request, reply, done) => {
    const judgement = pass(request, reply);
    if (judgement instanceof Promise) judgement.then(done, done);
    else done(judgement);
  };
}

/** Why a request is refused; undefined: it passes. */
type Judgement = PlimsollError | undefined | Promise<PlimsollError | undefined>;

/**
 * Takes the inputs of a request from the limit of its key. Doors call it once the body is checked.
 *
 * @returns undefined where there is nothing to wait for.
 * @throws PlimsollError RATE_LIMITED, TOO_MANY_INPUTS
 */
export function takeInputs(
  check: KeyCheck,
  request: FastifyRequest,
  reply: FastifyReply,
  count: number,
): Promise<void> | undefined {
  const { caller } = request;
  if (caller?.inputsPerMinute === undefined) return undefined;
  const verdict = check.takeInputs(caller, count);
  if (verdict === undefined) return undefined;
  const refuse = (judged: LimitVerdict) => {
    const error = limited(judged, reply, check);
    if (error !== undefined) throw error;
  };
  if (verdict instanceof Promise) return verdict.then(refuse);
  refuse(verdict);
  return undefined;
}

const REASONS: Readonly<Record<'missing' | 'unknown' | 'expired' | 'revoked', string>> = {
  missing: 'this server asks for a key: send it as "Authorization: Bearer …"',
  unknown: 'this server does not know the key',
  expired: 'the key has expired',
  revoked: 'the key was revoked',
};

function unauthorized(
  why: keyof typeof REASONS,
  reply: FastifyReply,
  check: KeyCheck,
): PlimsollError {
  check.onRefusal(why);
  // RFC 6750, section 3: no error code where no key was sent.
  void reply.header(
    'www-authenticate',
    why === 'missing' ? REALM : `${REALM}, error="invalid_token"`,
  );
  return new PlimsollError(
    'UNAUTHORIZED',
    `${REASONS[why]}; who runs the server makes one with "plimsoll keys create"`,
  );
}

function forbidden({ keyName }: Caller, scope: RouteScope, check: KeyCheck): PlimsollError {
  check.onRefusal('scope');
  const message = `the key "${keyName}" lacks the scope "${scope}" that this address needs`;
  return new PlimsollError('FORBIDDEN', message);
}

function unknown(): PlimsollError {
  const message = 'the database with the keys of this server does not answer yet';
  return new PlimsollError('DATABASE_UNAVAILABLE', message, { retryAfterSeconds: 1 });
}

function tooMany(check: KeyCheck): PlimsollError {
  check.onRefusal('attempts');
  const message = 'too many wrong keys came from this address';
  return new PlimsollError('RATE_LIMITED', message, { retryAfterSeconds: 6 });
}

/** Writes what is left of a limit into the reply. @returns the refusal where nothing is. */
function limited(
  verdict: LimitVerdict,
  reply: FastifyReply,
  check: KeyCheck,
): PlimsollError | undefined {
  const { limit, remaining, resetSeconds, refusal, isBeyond } = verdict;
  void reply
    .header('ratelimit-limit', limit)
    .header('ratelimit-remaining', remaining)
    .header('ratelimit-reset', resetSeconds);
  if (refusal === undefined) return undefined;
  check.onRefusal('limit');
  if (isBeyond) return new PlimsollError('TOO_MANY_INPUTS', refusal);
  return new PlimsollError('RATE_LIMITED', refusal, {
    retryAfterSeconds: Math.max(1, resetSeconds),
  });
}
