import type { Bounds } from '../../../src/models/intake/verification.js';
import { MODEL_SETTINGS } from '../../../src/settings/areas/models.js';

/** What a faster form is held against where nobody has set anything else. */
export const DEFAULT_BOUNDS: Bounds = {
  labels: MODEL_SETTINGS['verify.labels'].fallback({ cpus: 1 }),
  shift: MODEL_SETTINGS['verify.shift'].fallback({ cpus: 1 }),
  speedup: MODEL_SETTINGS['verify.speedup'].fallback({ cpus: 1 }),
};
