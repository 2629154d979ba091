/** What the part of the address behind `#` asks for. */
export type Route =
  | { readonly view: 'overview' }
  | { readonly view: 'session'; readonly id: string };

const SESSION = /^#\/sessions\/([^/]+)$/;

/** Anything that is no session's address shows the overview. Never throws. */
export function routeOf(hash: string): Route {
  const id = SESSION.exec(hash)?.[1];
  return id === undefined ? { view: 'overview' } : { view: 'session', id: decoded(id) };
}

export function sessionHref(id: string): string {
  return `#/sessions/${encodeURIComponent(id)}`;
}

/** An address that was cut or typed by hand may be no valid percent-encoding: then it stands as it is. */
function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
