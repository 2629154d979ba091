/**
 * Compiles the schemas of a route when the route is first asked. Compiling all of them took a quarter of the CPU time of a
 * start, and most routes of a server are never asked.
 */
import { createRequire } from 'node:module';
import type * as ajvCompiler from '@fastify/ajv-compiler';
import type * as serializerCompiler from '@fastify/fast-json-stringify-compiler';
import type { FastifyInstance, FastifyServerOptions } from 'fastify';

type Factories = NonNullable<
  NonNullable<FastifyServerOptions['schemaController']>['compilersFactory']
>;

/** What schemas mean: a value is taken as it is, or refused. */
export const SCHEMA_OPTIONS: NonNullable<
  NonNullable<FastifyServerOptions['ajv']>['customOptions']
> = { coerceTypes: false, removeAdditional: false, allowUnionTypes: true };

// Synchronous, and only when the first schema is compiled: loading the compilers takes as long as compiling some schemas.
const load = createRequire(import.meta.url);

/** Fastify's own compilers of schemas, loaded when they are needed. */
export const LAZY_FACTORIES: Factories = {
  // Given so that fastify does not load its own at the start; `validateLazily` takes its place.
  buildValidator: (...given: Parameters<ajvCompiler.BuildCompilerFromPool>) =>
    validators()(...given),
  buildSerializer: (schemas, options) => {
    let compile: ReturnType<ReturnType<typeof serializers>> | undefined;
    return (route) => {
      let serialize: ReturnType<NonNullable<typeof compile>> | undefined;
      return (value) => {
        if (serialize === undefined) {
          compile ??= serializers()(schemas, options);
          serialize = compile(route);
        }
        return serialize(value);
      };
    };
  },
};

function validators() {
  const { AjvCompiler }: typeof ajvCompiler = load('@fastify/ajv-compiler');
  return AjvCompiler();
}

function serializers() {
  const { SerializerSelector }: typeof serializerCompiler = load(
    '@fastify/fast-json-stringify-compiler',
  );
  return SerializerSelector();
}

/** Validates by schemas that are compiled when they are first needed. */
export function validateLazily(app: FastifyInstance): void {
  let compile: ReturnType<ReturnType<typeof validators>> | undefined;
  app.setValidatorCompiler((route) => {
    let validate: ReturnType<NonNullable<typeof compile>> | undefined;
    const lazy: Validator = (value) => {
      if (validate === undefined) {
        compile ??= validators()({}, { customOptions: SCHEMA_OPTIONS });
        validate = compile({ ...route });
      }
      const isValid = validate(value) === true;
      // Fastify reads them from the function that it has called.
      lazy.errors = validate.errors ?? null;
      return isValid;
    };
    return lazy;
  });
}

type Validator = ReturnType<Parameters<FastifyInstance['setValidatorCompiler']>[0]>;
