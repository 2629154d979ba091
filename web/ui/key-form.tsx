import { useState } from 'preact/hooks';
import { currentKey } from '../data/key.js';
import { useLive } from '../data/use-live.js';

/** Asks for the key that the server needs. It is kept for this tab alone. */
export function KeyForm({ reason }: { readonly reason: string }) {
  const live = useLive();
  const [key, setKey] = useState('');
  const isRefused = currentKey() !== '';
  const submit = (event: Event) => {
    event.preventDefault();
    if (key.trim() !== '') live.useKey(key.trim());
  };
  return (
    <main id="main" class="key-form" tabIndex={-1}>
      <h1>Plimsoll</h1>
      <form onSubmit={submit}>
        <label for="key">Key</label>
        <input
          id="key"
          type="password"
          autocomplete="off"
          spellcheck={false}
          value={key}
          aria-describedby="key-hint"
          onInput={(event) => setKey(event.currentTarget.value)}
        />
        <button type="submit">Show the server</button>
        {isRefused && (
          <p class="failure" role="alert">
            The server does not take this key: {reason}.
          </p>
        )}
        <p class="hint" id="key-hint">
          This server asks for a key. One of scope <code>read</code> shows this page, one of scope{' '}
          <code>manage</code> can also change what runs. It is kept until this tab is closed.
        </p>
      </form>
    </main>
  );
}
