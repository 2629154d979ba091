import type { FastifyBodyParser } from 'fastify';

type Parser = FastifyBodyParser<string>;

/**
 * A parser of JSON bodies that gives what the default one gives, and refuses what that refuses, for
 * less. The default one looks through the text for the names of prototypes with regular expressions,
 * which costs more than parsing it; here the parsed value is looked through, which has few names however
 * long its texts are. Whatever is not plainly harmless goes to the default one, which decides.
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

/** Whether no object in it has a name that could reach a prototype when it is copied. */
function isHarmless(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return true;
  // A list and no recursion: a body may nest as deep as it is long.
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
