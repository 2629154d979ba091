import type { Door } from './door.js';
import { huggingFace } from './huggingface/door.js';
import { openInference } from './open-inference/door.js';
import { openAi } from './openai/door.js';
import { plimsoll } from './plimsoll/door.js';
import { tei } from './tei/door.js';
import { vllm } from './vllm/door.js';

/** The protocols that the server speaks. Each has a folder here; where two claim a body, the first answers. */
export const DOORS: readonly Door[] = [plimsoll, huggingFace, tei, openInference, openAi, vllm];
