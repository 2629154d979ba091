import { messageOf, PlimsollError, systemCodeOf } from '../../errors.js';

/** Codes of Node and of PostgreSQL (appendix A of its manual, "PostgreSQL Error Codes"). */
const AWAY_CODES: ReadonlySet<string> = new Set([
  ...['ECONNREFUSED', 'ECONNRESET', 'ETIMEDOUT', 'EHOSTUNREACH', 'ENETUNREACH', 'EPIPE'],
  // A host name may be unknown while other containers are still starting.
  ...['ENOTFOUND', 'EAI_AGAIN', 'ENOENT'],
  // The server is starting, stopping or failing over; the transaction sat idle for too long.
  ...['57P01', '57P02', '57P03', '57P05', '25P03', '25006'],
  // Too many connections, out of memory, disk full.
  ...['53000', '53100', '53200', '53300'],
  // A timeout of ours: the statement, or the lock that another session holds.
  ...['57014', '55P03', '40P01'],
]);

/** Class 08: connection exception; pgbouncer reports a server that it cannot reach as 08P01. */
const CONNECTION_EXCEPTION = /^08...$/;

/** Whether the database may accept the same statement later. */
export function isAway(error: unknown): boolean {
  if (error instanceof PlimsollError) return error.code === 'POOL_EXHAUSTED';
  const code = systemCodeOf(error) ?? '';
  if (AWAY_CODES.has(code) || CONNECTION_EXCEPTION.test(code)) return true;
  return /timeout expired|connection terminated/i.test(messageOf(error));
}

/**
 * Whether a connection must not be used again although its socket is open: it leads to a server that became
 * read-only (25006: a demoted primary, or a changed default), or that is going away.
 */
export function isSpoiled(error: unknown): boolean {
  const code = systemCodeOf(error) ?? '';
  return /^(25006|25P03|57P0[1-5])$/.test(code) || CONNECTION_EXCEPTION.test(code);
}

/** Whether the connection leads to a server that others of the pool should not lead to either. */
export function isReadOnly(error: unknown): boolean {
  return systemCodeOf(error) === '25006';
}

/** Whether a table, a column or the schema is missing: the database was emptied, or restored from a backup. */
export function isSchemaMissing(error: unknown): boolean {
  return /^(42P01|42703|3F000)$/.test(systemCodeOf(error) ?? '');
}

/** Whether the database rejects the rows themselves, so that writing them again would fail again. */
export function isAboutRows(error: unknown): boolean {
  // Classes 22 and 23: data exception, integrity violation; SQLite's names of the same.
  return /^(22|23)...$|^SQLITE_(CONSTRAINT|MISMATCH|TOOBIG|RANGE)/.test(systemCodeOf(error) ?? '');
}

/** The driver's message. Connecting to a name with several addresses gives an error without one. */
export function reasonOf(error: unknown): string {
  return messageOf(error) || (systemCodeOf(error) ?? 'unknown');
}

/** The address as it may be shown: without password and options. */
export function shownUrl(url: string): string {
  if (!URL.canParse(url)) return 'database.url';
  const { protocol, username, host, pathname } = new URL(url);
  return `${protocol}//${username === '' ? '' : `${username}:***@`}${host}${pathname}`;
}
