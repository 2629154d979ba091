import type { FastifyInstance } from 'fastify';
import type { HttpServices } from '../services.js';

/** One protocol under which callers reach the server. */
export interface Door {
  readonly name: string;
  /** Adds the routes of the protocol. */
  readonly open: (app: FastifyInstance, services: HttpServices) => void;
}
