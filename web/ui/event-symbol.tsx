import type { MarkKind } from '../data/wire.js';

export const KIND_NAMES: Readonly<Record<MarkKind, string>> = {
  session_ended: 'session ended',
  model_loaded: 'model loaded',
  model_unloaded: 'model unloaded',
  worker_recycled: 'worker recycled',
  receipt: 'memory action',
};

/** Kinds differ in shape, not in colour alone. A session's end is the Plimsoll mark. */
const SHAPES: Readonly<Record<MarkKind, string>> = {
  session_ended: 'M1 8h14M8 4a4 4 0 1 1 0 8a4 4 0 1 1 0-8',
  model_loaded: 'M8 3l5 9H3z',
  model_unloaded: 'M8 13l5-9H3z',
  worker_recycled: 'M8 2l6 6l-6 6l-6-6z',
  receipt: 'M8 5a3 3 0 1 1 0 6a3 3 0 1 1 0-6',
};

export function EventSymbol({
  kind,
  decorative = false,
}: {
  readonly kind: MarkKind;
  /** The text beside it says the same. */
  readonly decorative?: boolean;
}) {
  const shape = <path d={SHAPES[kind]} />;
  return decorative ? (
    <svg class={`symbol kind-${kind}`} viewBox="0 0 16 16" aria-hidden="true">
      {shape}
    </svg>
  ) : (
    <svg class={`symbol kind-${kind}`} viewBox="0 0 16 16" role="img" aria-label={KIND_NAMES[kind]}>
      {shape}
    </svg>
  );
}
