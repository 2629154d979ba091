import { useState } from 'preact/hooks';
import type { Connection } from '../data/event-stream.js';
import { useLive } from '../data/use-live.js';
import { chooseTheme, currentTheme, type Theme } from '../theme.js';

const THEMES: readonly Theme[] = ['system', 'light', 'dark'];
const CONNECTION_TEXT: Readonly<Record<Connection['state'], string>> = {
  connecting: 'connecting …',
  paused: 'connecting …',
  locked: 'asks for a key',
  live: 'live',
  lost: 'no connection',
};

export function Header() {
  const { connection } = useLive();
  return (
    <header class="head">
      <a class="brand" href="#/">
        <svg class="brand-mark" viewBox="0 0 44 32" aria-hidden="true">
          <circle cx="22" cy="16" r="11" />
          <path d="M1 16h42" />
        </svg>
        <h1>Plimsoll</h1>
      </a>
      <p class={`connection connection-${connection.state}`} role="status">
        {CONNECTION_TEXT[connection.state]}
      </p>
      <ThemeButton />
    </header>
  );
}

function ThemeButton() {
  const [theme, setTheme] = useState<Theme>(currentTheme());
  const next = THEMES[(THEMES.indexOf(theme) + 1) % THEMES.length] ?? 'system';
  return (
    <button
      type="button"
      class="quiet theme"
      aria-label={`Colours: ${theme}. Change to ${next}`}
      onClick={() => {
        chooseTheme(next);
        setTheme(next);
      }}
    >
      <svg viewBox="0 0 20 20" aria-hidden="true">
        <circle cx="10" cy="10" r="7.5" />
        <path class="half" d="M10 2.5a7.5 7.5 0 0 1 0 15z" />
      </svg>
      {theme}
    </button>
  );
}
