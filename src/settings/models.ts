import { choice, integer, text } from './setting.js';

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
      'Type of the weights that are served (`--dtype`), told from what the graphs hold; auto: the first of q8, fp32, fp64, fp16, bf16, q4 that a model has.',
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
} as const;
