/** JSON schemas of the interface: they check bodies, write replies, and become `/openapi.json`. */

const number = { type: 'number' } as const;
const text = { type: 'string' } as const;
const count = { type: 'integer' } as const;
const nullableText = { type: ['string', 'null'] } as const;

function object<const P extends Record<string, unknown>>(properties: P, description?: string) {
  return {
    type: 'object',
    ...(description === undefined ? {} : { description }),
    properties,
  } as const;
}

export const errorSchema = object(
  {
    error: object({
      code: { type: 'string', description: 'One of the codes in docs/errors.md.' },
      message: text,
      retryable: { type: 'boolean', description: 'Whether the same request may succeed later.' },
    }),
  },
  'Every error has this shape.',
);

/** Replies that any route may give. */
export const commonErrors = { '4xx': errorSchema, '5xx': errorSchema } as const;

const figuresSchema = object({
  server_total_mb: { type: 'number', description: 'Memory of the machine, or the cgroup’s limit.' },
  server_used_mb: number,
  server_percent: number,
  private_mb: { type: 'number', description: 'What only our processes can give back, summed up.' },
  pss_mb: { type: 'number', description: 'Proportional sizes, summed up.' },
});

export const receiptSchema = object(
  {
    id: text,
    kind: text,
    cause: text,
    session: nullableText,
    started_at: text,
    duration_ms: number,
    before: figuresSchema,
    after: figuresSchema,
    freed_mb: {
      type: 'number',
      description: 'server_used_mb before − after; negative if it rose.',
    },
    freed_private_mb: { type: 'number', description: 'private_mb before − after.' },
    actions: {
      type: 'array',
      items: object({
        action: text,
        model: text,
        worker: text,
        duration_ms: number,
        freed_mb: number,
        entries: { type: 'integer', description: 'Entries that were removed from Redis.' },
      }),
    },
  },
  'The stored record of one cleanup. MB = 2^20 bytes.',
);

export const sessionSchema = object({
  id: text,
  state: { type: 'string', enum: ['open', 'ending', 'ended', 'interrupted'] },
  ambient: { type: 'boolean', description: 'Opened by the server for requests without a session.' },
  max_users: count,
  users: count,
  requests: count,
  failures: count,
  p50_ms: {
    type: ['number', 'null'],
    description: 'Of its answers, to 5 %; null before the first.',
  },
  p99_ms: { type: ['number', 'null'] },
  opened_at: text,
  ended_at: nullableText,
  end_cause: nullableText,
  taken_mb: {
    type: ['number', 'null'],
    description: 'What private_mb rose by from its opening to its cleanup.',
  },
  cleanup: { anyOf: [receiptSchema, { type: 'null' }] },
});

export const openSessionSchema = {
  type: ['object', 'null'],
  properties: { max_users: { type: 'integer', minimum: 1, maximum: 10_000 } },
  additionalProperties: false,
} as const;

/** The body of a classification. */
export function classifySchema(maxInputs: number) {
  const input = { type: 'string', pattern: '\\S' };
  return {
    type: 'object',
    required: ['inputs'],
    additionalProperties: false,
    properties: {
      inputs: {
        description: 'One text, or several.',
        anyOf: [input, { type: 'array', minItems: 1, maxItems: maxInputs, items: input }],
        examples: ['Subject: You have won\n\nClick here to claim your prize'],
      },
      model: { type: 'string', minLength: 1, maxLength: 600, examples: ['spam'] },
      top_k: { type: 'integer', minimum: 1, maximum: 100_000 },
      function_to_apply: {
        type: 'string',
        enum: ['softmax', 'sigmoid', 'none'],
        description: 'What is applied to the outputs; by default what the model asks for.',
      },
      session: { type: 'string', minLength: 1, maxLength: 100 },
      user: { type: 'string', minLength: 1, maxLength: 128 },
    },
  } as const;
}

export const answerSchema = object({
  model: text,
  session: text,
  user: text,
  results: {
    type: 'array',
    description: 'One list for each input, the highest score first.',
    items: { type: 'array', items: object({ label: text, score: number }) },
  },
  truncated: { type: 'array', items: { type: 'boolean' } },
  cached: {
    type: 'array',
    description: 'For each input: false if it was computed, else the tier of the cache.',
    items: { anyOf: [{ type: 'boolean' }, { type: 'string' }] },
  },
  timing: object({ queue_ms: number, tokenize_ms: number, run_ms: number, total_ms: number }),
});

export const memorySchema = object({
  server_total_mb: number,
  server_used_mb: number,
  server_percent: number,
  load_line_mb: number,
  pressure: { type: 'string', enum: ['normal', 'elevated', 'critical'] },
  users_since_recycle: count,
  processes: {
    type: 'array',
    items: object({ role: text, pid: count, rss_mb: number, pss_mb: number, private_mb: number }),
  },
});

const readingSchema = {
  at: text,
  server_total_mb: number,
  server_used_mb: number,
  load_line_mb: number,
  private_mb: number,
  pss_mb: number,
  pressure: text,
} as const;

export const readingsSchema = object({
  seconds: { type: 'array', items: object(readingSchema) },
  minutes: {
    type: 'array',
    description: 'Means over the minute; the largest stands in the fields with max.',
    items: object({
      ...readingSchema,
      readings: count,
      server_used_max_mb: number,
      private_max_mb: number,
    }),
  },
});

export const processesSchema = object({
  names: { type: 'array', items: text },
  readings: {
    type: 'array',
    items: object({
      at_ms: { type: 'number', description: 'Milliseconds since 1970.' },
      processes: {
        type: 'array',
        description: 'Of each process: index of its name, private MB, its share of shared MB.',
        items: { type: 'array', items: number },
      },
    }),
  },
});

export const modelSchema = object({
  id: text,
  task: nullableText,
  labels: { type: 'array', items: text },
  state: { type: 'string', enum: ['unprepared', 'unloaded', 'loaded', 'broken'] },
  reason: { type: 'string', description: 'Why a broken model cannot be used.' },
  dtype: { ...nullableText, description: 'Type of its weights: fp32, fp16, bf16, fp64, q8 or q4.' },
  workers: {
    type: 'array',
    description: 'How each worker holds it: not, in the cold gear, or in the hot one.',
    items: object({
      worker: text,
      state: { type: 'string', enum: ['unloaded', 'cold', 'hot'] },
    }),
  },
  graph: { ...nullableText, description: 'The graph that is served, below its folder.' },
  graph_reason: { ...nullableText, description: 'Why that one.' },
  source_mb: { type: ['number', 'null'] },
  mapped_mb: { type: ['number', 'null'] },
  private_mb: { type: ['number', 'null'], description: 'Measured after a full batch.' },
  load_ms: { type: ['number', 'null'], description: 'Measured.' },
  last_used_at: { ...nullableText, description: 'Time of its last request in this run.' },
});

export const modelDetailSchema = object({
  ...modelSchema.properties,
  aliases: { type: 'array', items: text, description: 'Other names, from plimsoll.json.' },
  decisions: {
    type: 'array',
    description: 'What was decided about it, and the file, rule or measurement that decided.',
    items: object({ about: text, value: text, from: text }),
  },
});

/** The body of a question for tokens. */
export function tokenizeSchema(maxInputs: number) {
  return {
    type: 'object',
    required: ['model', 'inputs'],
    additionalProperties: false,
    properties: {
      model: { type: 'string', minLength: 1, maxLength: 600, examples: ['spam'] },
      inputs: {
        anyOf: [
          { type: 'string' },
          { type: 'array', minItems: 1, maxItems: maxInputs, items: { type: 'string' } },
        ],
      },
    },
  } as const;
}

export const tokenizedSchema = object({
  model: text,
  max_tokens: count,
  tokenizer: { type: 'string', enum: ['javascript', 'native'] },
  results: {
    type: 'array',
    items: object({
      ids: { type: 'array', items: count },
      tokens: { type: 'array', items: text },
      offsets: {
        type: 'array',
        description: 'Begin and end in code points; 0, 0 for special tokens.',
        items: { type: 'array', items: count },
      },
      count: { type: 'integer', description: 'Tokens, special ones included.' },
      truncated: { type: 'boolean', description: 'Whether a part of the text did not fit.' },
    }),
  },
});

export const workerSchema = object({
  id: text,
  pid: { type: ['integer', 'null'] },
  state: { type: 'string', enum: ['starting', 'ready', 'leaving', 'gone'] },
  busy: { type: 'boolean' },
  age_s: count,
  users_since_recycle: { type: 'integer', description: 'Users who have come since it started.' },
  private_mb: { type: ['number', 'null'], description: 'By the last reading.' },
  models: { type: 'array', items: text },
});
