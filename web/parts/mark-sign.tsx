import type { MarkKind } from '../data/wire.js';

const NAMES: Readonly<Record<MarkKind, string>> = {
  session_ended: 'session ended',
  model_loaded: 'model loaded',
  model_unloaded: 'model unloaded',
  worker_recycled: 'worker recycled',
  receipt: 'memory action',
};

const SHAPES: Readonly<Record<MarkKind, string>> = {
  session_ended: 'M1 8h14M8 4a4 4 0 1 1 0 8a4 4 0 1 1 0-8',
  model_loaded: 'M8 3l5 9H3z',
  model_unloaded: 'M8 13l5-9H3z',
  worker_recycled: 'M8 2l6 6l-6 6l-6-6z',
  receipt: 'M8 5a3 3 0 1 1 0 6a3 3 0 1 1 0-6',
};

/** The sign that a mark has in the chart. */
export function MarkSign({ kind }: { readonly kind: MarkKind }) {
  return (
    <svg class={`sign sign-${kind}`} viewBox="0 0 16 16" role="img" aria-label={NAMES[kind]}>
      <path d={SHAPES[kind]} />
    </svg>
  );
}
