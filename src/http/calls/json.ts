import type { FastifyReply } from 'fastify';
import type { JsonText } from '../route.js';

/** The content type that fastify sets when it serialises. */
export const JSON_TYPE = 'application/json; charset=utf-8';

/** A value as the reply's text, where its shape is one of several: a serializer would try them all. */
export function jsonReply<T>(reply: FastifyReply, value: T): JsonText<T> {
  void reply.header('content-type', JSON_TYPE);
  return JSON.stringify(value) as JsonText<T>;
}
