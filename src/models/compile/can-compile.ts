import { messageOf } from '../../errors.js';
import type { SafetensorsCompiler } from '../intake/model-reader.js';

/**
 * Whether a graph can be written for a model's safetensors, by its configuration. The families are loaded when the
 * first such model is found: where all models have graphs the main process never holds them.
 */
export const safetensorsCompiler: SafetensorsCompiler = {
  refuse: async (config) => {
    const { pickFamily } = await import('./families/pick.js');
    try {
      pickFamily(config);
      return undefined;
    } catch (error) {
      return messageOf(error);
    }
  },
};
