import { choice, decimal, integer, text } from '../setting.js';

const HOUR_MS = 3_600_000;

/** The settings of the models and of preparing them. */
export const MODEL_SETTINGS = {
  models: text({
    default: '',
    defaultText: 'the bundled models',
    about: 'Folder of models, or one model’s own folder (`--models`).',
  }),
  'models.default': text({
    default: '',
    defaultText: 'spam, or the only model there is',
    about: 'Model that answers when a request names none.',
  }),
  'models.dtype': choice({
    default: 'auto',
    words: ['auto', 'fp32', 'fp16', 'bf16', 'fp64', 'q8', 'q4'],
    about:
      'Type of the weights that are served (`--dtype`), told from what the graphs hold; auto: the fastest form that agrees with fp32 on this machine (see `verify.labels`); where a model has no fp32 weights, the first of fp64, fp16, bf16, q8, q4 that it has.',
  }),
  'models.gear': choice({
    default: 'auto',
    words: ['auto', 'cold', 'hot'],
    about:
      'auto: a model that stays busy moves to the hot gear; cold: none does; hot: each does as soon as it is open.',
  }),
  data: text({
    default: '.plimsoll',
    needed: true,
    about: 'Folder for mapped models and the database (`--data`).',
  }),
  'prepare.timeout_ms': integer({
    default: 600_000,
    min: 1000,
    max: HOUR_MS,
    unit: 'ms',
    about: 'Longest time that preparing one model may take.',
  }),
  'verify.labels': decimal({
    default: 99.5,
    min: 0,
    max: 100,
    unit: '%',
    about:
      'With `models.dtype=auto`: a faster form serves only if at least this share of labels is the same as in fp32.',
  }),
  'verify.shift': decimal({
    default: 0.05,
    min: 0,
    max: 1,
    about:
      'With `models.dtype=auto`: a faster form serves only if no score differs from fp32 by more; scores beyond 0 to 1 count as parts of the largest.',
  }),
  'verify.speedup': decimal({
    default: 1.1,
    min: 0,
    max: 100,
    about:
      'With `models.dtype=auto`: a faster form serves only if it is at least this many times as fast as fp32; 0: however slow it is.',
  }),
  'verify.every': integer({
    default: 50,
    min: 0,
    max: 1_000_000,
    about:
      'Of the inputs that a faster form answers, one in so many is also run on fp32, when a worker has nothing to do; 0: none.',
  }),
  'verify.count': integer({
    default: 200,
    min: 1,
    max: 1_000_000,
    about: 'Inputs of a model after which `verify.every` ends.',
  }),
  'verify.budget_ms': integer({
    default: 20_000,
    min: 1000,
    max: HOUR_MS,
    unit: 'ms',
    about: 'Time after which preparing a model tries no further faster form of it.',
  }),
} as const;
