import type { FastifyInstance } from 'fastify';
import type { Calls } from '../calls/calls.js';
import type { ErrorForm } from '../errors.js';
import type { HttpServices } from '../services.js';
import type { SharedRoute } from '../shared-addresses.js';

/** One protocol under which callers reach the server. */
export interface Door {
  /** As the setting `http.doors` names it. */
  readonly name: string;
  /** How the protocol writes errors, whoever notices them. */
  readonly errors: ErrorForm;
  /** Beginnings of addresses that are this protocol's alone, without the last slash; none by default. */
  readonly prefixes?: readonly string[];
  /**
   * Addresses at which what watches the server asks whether it, or a model (`{id}`), takes requests. They answer whatever
   * the `Host`, and while every connection is taken; none by default.
   */
  readonly health?: readonly string[];
  /** Headers of its replies that its clients read, also in a browser; none by default. */
  readonly replyHeaders?: readonly string[];
  /** Adds the routes at addresses that no other protocol has. */
  readonly open: (app: FastifyInstance, services: HttpServices, calls: Calls) => void;
  /** Routes at addresses that other protocols may have too; a field of the body tells them apart. */
  readonly shared?: (services: HttpServices, calls: Calls) => readonly SharedRoute[];
}
