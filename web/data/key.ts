/** Where the key is kept: a tab loses it when it is closed, and no other tab sees it. */
const PLACE = 'plimsoll-key';

/** Without storage, as in some private windows, the key lasts until the page is reloaded. */
let inMemory = '';

/** The key that this tab asks the server with; empty without one. */
export function currentKey(): string {
  try {
    return sessionStorage.getItem(PLACE) ?? inMemory;
  } catch {
    return inMemory;
  }
}

/** @param key empty: forget it. */
export function keepKey(key: string): void {
  inMemory = key;
  try {
    if (key === '') sessionStorage.removeItem(PLACE);
    else sessionStorage.setItem(PLACE, key);
  } catch {
    // The one in memory counts.
  }
}

/** The headers of a request with the key of this tab. */
export function keyHeaders(): Readonly<Record<string, string>> {
  const key = currentKey();
  return key === '' ? {} : { authorization: `Bearer ${key}` };
}

/**
 * Follows a link where a key is needed: a browser sends none by itself, so the file is fetched and saved.
 *
 * @returns whether it was done here; otherwise the browser follows the link.
 */
export function saveWithKey(event: Event, address: string, name: string): boolean {
  if (currentKey() === '') return false;
  event.preventDefault();
  void fetchAndSave(address, name);
  return true;
}

async function fetchAndSave(address: string, name: string): Promise<void> {
  const reply = await fetch(address, { headers: keyHeaders() });
  const url = URL.createObjectURL(await reply.blob());
  const link = document.createElement('a');
  link.href = url;
  link.download = name;
  link.click();
  URL.revokeObjectURL(url);
}
