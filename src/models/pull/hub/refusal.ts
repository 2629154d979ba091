import { HubError } from '../hub-error.js';

const SECOND_MS = 1000;

/** What an answer of 4xx or 5xx means, by the hub's own header where it has one. */
export function refusalOf(reply: Response, what: string): HubError {
  const code = reply.headers.get('x-error-code') ?? '';
  const said = reply.headers.get('x-error-message') ?? '';
  const { status } = reply;
  if (code === 'GatedRepo') {
    return new HubError(
      'gated',
      `${what} is gated: accept its terms on its page, then give a token of that account in HF_TOKEN`,
    );
  }
  if (code === 'RevisionNotFound') {
    return new HubError('revision', `${what}: the model has no such branch, tag or commit`);
  }
  if (code === 'EntryNotFound') return new HubError('entry', `${what}: there is no such file`);
  // The hub says the same of each model then, public ones too.
  if (status === 401 && /invalid (?:credentials|username|token)|expired/i.test(said)) {
    return new HubError(
      'token',
      `${what}: the hub does not know this token: it is mistyped, expired or revoked. Give a valid one in HF_TOKEN, or none`,
    );
  }
  if (code === 'RepoNotFound' || status === 404 || status === 401) {
    return new HubError(
      'missing',
      `${what}: the hub has no such model, or it is private: then give a token that may read it in HF_TOKEN`,
    );
  }
  if (status === 403)
    return new HubError('token', `${what}: this token may not read it (HF_TOKEN)`);
  if (isPassingStatus(status)) {
    const message = `${what}: the hub answers ${status}; try again later`;
    return new HubError('network', message, undefined, retryAfterMsOf(reply));
  }
  return new HubError('answer', `${what}: the hub answers ${status}`);
}

function isPassingStatus(status: number): boolean {
  return status === 429 || status === 408 || status >= 500;
}

/** `Retry-After` in seconds or as a date (RFC 9110, 10.2.3); undefined if the answer has none. */
function retryAfterMsOf({ headers }: Response): number | undefined {
  const written = headers.get('retry-after');
  if (written === null) return undefined;
  const ms = /^\d+$/.test(written) ? Number(written) * SECOND_MS : Date.parse(written) - Date.now();
  return Number.isFinite(ms) ? Math.max(0, ms) : undefined;
}
