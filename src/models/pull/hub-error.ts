/** What kept a model from being pulled; the message says what to do about it. */
export class HubError extends Error {
  override readonly name = 'HubError';
  readonly kind: HubFailure;
  /** How long the hub asks to wait before the next attempt; undefined if it does not say. */
  readonly retryAfterMs: number | undefined;

  constructor(kind: HubFailure, message: string, cause?: unknown, retryAfterMs?: number) {
    super(message, cause === undefined ? undefined : { cause });
    this.kind = kind;
    this.retryAfterMs = retryAfterMs;
  }

  /** Whether the same call may succeed in a moment: the network, not the request, is at fault. */
  get isPassing(): boolean {
    return this.kind === 'network';
  }
}

export type HubFailure =
  | 'gated'
  | 'missing'
  | 'revision'
  | 'entry'
  | 'token'
  | 'network'
  | 'offline'
  | 'disk'
  | 'checksum'
  | 'unservable'
  | 'answer'
  | 'stopped';
