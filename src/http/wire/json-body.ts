import type { FastifyBodyParser } from 'fastify';

type Parser = FastifyBodyParser<string>;

/**
 * A faster parser of JSON bodies, with the results and the errors of fastify's default parser. The default
 * one searches the text for `__proto__` and `constructor` with regular expressions, which takes longer than
 * parsing it. This one checks the names in the parsed value: they are few, however long the texts are. A
 * body that it does not find harmless goes to the default parser, which decides.
 *
 * @param careful fastify's default parser.
 */
export function jsonBody(careful: Parser): Parser {
  return (request, text, done) => {
    const value = parsed(text);
    if (value === undefined || !isHarmless(value)) return careful(request, text, done);
    done(null, value);
  };
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** Whether no object in the value has a name that could change a prototype when the object is copied. */
function isHarmless(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return true;
  // A list instead of recursion: a body may nest as deep as it is long.
  const open: object[] = [value];
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    if (Array.isArray(next)) {
      for (const item of next as unknown[]) {
        if (typeof item === 'object' && item !== null) open.push(item);
      }
      continue;
    }
    for (const name in next) {
      if (name === '__proto__' || name === 'constructor') return false;
      const item = (next as Readonly<Record<string, unknown>>)[name];
      if (typeof item === 'object' && item !== null) open.push(item);
    }
  }
  return true;
}
