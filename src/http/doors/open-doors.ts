import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { PlimsollError } from '../../errors.js';
import { SettingError } from '../../settings/setting.js';
import { Calls } from '../calls/calls.js';
import { type ErrorForm, ownErrors } from '../errors.js';
import type { HttpServices } from '../services.js';
import { type Claim, openSharedAddresses } from '../shared-addresses.js';
import type { Door } from './door.js';
import { DOORS } from './doors.js';

export interface OpenOptions {
  /** Names of the doors that answer; the others tell who asks that they are closed. */
  readonly open: ReadonlySet<string>;
  readonly refuse: Refuse;
}

/** Answers with an error in a protocol's form. */
export type Refuse = (
  error: unknown,
  request: FastifyRequest,
  reply: FastifyReply,
  form: ErrorForm,
) => FastifyReply;

/**
 * The doors that the setting `http.doors` opens.
 *
 * @param written `all`, or names divided by commas.
 * @throws SettingError for a name that no door has
 */
export function chosenDoors(written: string, doors: readonly Door[] = DOORS): ReadonlySet<string> {
  const names = doors.map(({ name }) => name);
  const chosen = written
    .split(',')
    .map((name) => name.trim())
    .filter((name) => name !== '');
  const odd = chosen.find((name) => name !== 'all' && !names.includes(name));
  if (odd !== undefined || chosen.length === 0) {
    const what = `all, or some of ${names.join(', ')}, divided by commas`;
    throw new SettingError(`http.doors: "${odd ?? written}" is not ${what}`);
  }
  return new Set(chosen.includes('all') ? names : chosen);
}

/** How errors of an address are written, also where there is no route: of several prefixes the longest decides. */
export function errorFormOf(address: string, doors: readonly Door[] = DOORS): ErrorForm {
  let [longest, errors] = ['', ownErrors];
  for (const { prefixes = [], errors: own } of doors) {
    for (const prefix of prefixes) {
      const fits = address === prefix || address.startsWith(`${prefix}/`);
      if (fits && prefix.length > longest.length) [longest, errors] = [prefix, own];
    }
  }
  return errors;
}

/** The health addresses of the open doors. */
export function healthAddresses(
  open: ReadonlySet<string>,
  doors: readonly Door[] = DOORS,
): readonly string[] {
  return doors.flatMap(({ name, health = [] }) => (open.has(name) ? health : []));
}

/** Headers that replies of the open doors have of their own. */
export function replyHeaders(
  open: ReadonlySet<string>,
  doors: readonly Door[] = DOORS,
): readonly string[] {
  return doors.flatMap((door) => (open.has(door.name) ? (door.replyHeaders ?? []) : []));
}

/**
 * Adds the routes of every door. A closed one keeps its addresses, and tells who asks there that it is closed.
 */
export function openDoors(
  app: FastifyInstance,
  services: HttpServices,
  { open, refuse }: OpenOptions,
  doors: readonly Door[] = DOORS,
): void {
  const calls = new Calls(services);
  const claims: Claim[] = [];
  for (const door of doors) {
    const closed = open.has(door.name) ? undefined : closedError(door.name);
    const { errors, shared } = door;
    void app.register((own, _options, done) => {
      own.setErrorHandler((error, request, reply) => refuse(error, request, reply, errors));
      if (closed !== undefined) close(own, closed);
      door.open(own, services, calls);
      done();
    });
    for (const route of shared?.(services, calls) ?? []) claims.push({ route, errors, closed });
  }
  openSharedAddresses(app, claims, refuse);
}

function closedError(name: string): PlimsollError {
  const message = `the door "${name}" of this server is closed; the setting http.doors opens it`;
  return new PlimsollError('NOT_FOUND', message);
}

function close(app: FastifyInstance, error: PlimsollError): void {
  app.addHook('onRoute', (route) => {
    route.schema = { ...route.schema, hide: true };
  });
  app.addHook('onRequest', (_request, _reply, done) => done(error));
}
