import { choice, integer, text } from './setting.js';

const HOUR_MS = 3_600_000;

/** The settings of the models and of preparing them. */
export const MODEL_SETTINGS = {
  models: text({
    default: '',
    defaultText: 'the bundled models',
    about: 'Folder whose sub-folders in Hugging Face layout are the models (`--models`).',
  }),
  'models.default': text({
    default: '',
    defaultText: 'spam, or the only model there is',
    about: 'Model that answers when a request names none.',
  }),
  'models.dtype': choice({
    default: 'auto',
    words: ['auto', 'fp32', 'fp16', 'q8'],
    about:
      'Weights that are taken (`--dtype`): `onnx/model.onnx`, `model_fp16.onnx` or `model_quantized.onnx`; auto: what a model has, q8 before fp32 before fp16.',
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
