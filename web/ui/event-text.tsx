import type { Mark } from '../data/wire.js';
import { Name } from './name.js';

/** A mark's sentence; the model's name in it is isolated, as it may be long or written right to left. */
export function EventText({ mark: { text, model } }: { readonly mark: Mark }) {
  const at = model === undefined ? -1 : text.indexOf(model);
  if (model === undefined || at === -1) return <span class="event-text">{text}</span>;
  return (
    <span class="event-text">
      {text.slice(0, at)}
      <Name text={model} />
      {text.slice(at + model.length)}
    </span>
  );
}
