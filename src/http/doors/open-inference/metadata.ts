/** What a model takes and gives, as the protocol describes it. Pure. */

import type { ModelConfig, ModelMetadata } from '../../../contract/doors/open-inference.js';
import type { ModelView } from '../../../contract/models.js';
import { PlimsollError } from '../../../errors.js';
import { VERSION } from './tensors/reply.js';

/** A model as far as its tensors are concerned. */
export type DescribedModel = Pick<ModelView, 'id' | 'task' | 'labels' | 'reason'>;

interface Slot {
  readonly name: string;
  readonly datatype: 'BYTES' | 'INT64' | 'FP32';
  /** −1: of any size. */
  readonly shape: readonly number[];
  /** Of an input: a request may do without it. */
  readonly isOptional?: boolean;
}

interface Tensors {
  readonly inputs: readonly Slot[];
  readonly outputs: readonly Slot[];
}

const ANY = -1;
const TEXT: Slot = { name: 'text', datatype: 'BYTES', shape: [ANY] };

/** Token ids and what goes with them: what may be sent in place of texts. */
const IDS: readonly Slot[] = ['input_ids', 'attention_mask', 'token_type_ids'].map((name) => ({
  ...{ name, datatype: 'INT64', shape: [ANY, ANY], isOptional: true },
}));

/** Outputs that texts lead to, and those that token ids lead to. */
export const TEXT_OUTPUTS = ['label', 'score'] as const;
export const IDS_OUTPUTS = ['logits'] as const;
export const TOKEN_OUTPUTS = ['entities'] as const;

function tensorsOf({ id, task, labels, reason }: DescribedModel): Tensors {
  if (task === null) {
    throw new PlimsollError('MODEL_UNUSABLE', `model ${id} cannot be used: ${reason ?? ''}`);
  }
  if (task !== 'text-classification') {
    const outputs: readonly Slot[] = [{ name: 'entities', datatype: 'BYTES', shape: [ANY] }];
    return { inputs: [TEXT], outputs };
  }
  const scores: Pick<Slot, 'datatype' | 'shape'> = {
    datatype: 'FP32',
    shape: [ANY, labels.length],
  };
  return {
    inputs: [TEXT, { ...TEXT, name: 'text_pair', isOptional: true }, ...IDS],
    outputs: [
      { name: 'label', datatype: 'BYTES', shape: [ANY] },
      { name: 'score', ...scores },
      { name: 'logits', ...scores },
    ],
  };
}

/** The model's metadata. @throws PlimsollError MODEL_UNUSABLE */
export function metadataOf(model: DescribedModel): ModelMetadata {
  const { inputs, outputs } = tensorsOf(model);
  const shown = ({ name, datatype, shape }: Slot) => ({ name, datatype, shape });
  return {
    name: model.id,
    versions: [VERSION],
    // The protocol's own name for ONNX.
    platform: 'onnx_onnxv1',
    inputs: inputs.map(shown),
    outputs: outputs.map(shown),
  };
}

/** Triton's names of datatypes in a model's configuration. */
const CONFIG_TYPES = { BYTES: 'TYPE_STRING', INT64: 'TYPE_INT64', FP32: 'TYPE_FP32' } as const;

/** The model's configuration, as Triton has it. @throws PlimsollError MODEL_UNUSABLE */
export function configOf(model: DescribedModel): ModelConfig {
  const { inputs, outputs } = tensorsOf(model);
  const shown = ({ name, datatype, shape }: Slot) => ({
    ...{ name, data_type: CONFIG_TYPES[datatype], dims: shape },
  });
  const parameter = (value: unknown) => ({ string_value: JSON.stringify(value) });
  return {
    name: model.id,
    platform: 'onnxruntime_onnx',
    backend: 'onnxruntime',
    max_batch_size: 0,
    input: inputs.map((slot) => ({ ...shown(slot), optional: slot.isOptional ?? false })),
    output: outputs.map(shown),
    parameters: { task: { string_value: model.task ?? '' }, labels: parameter(model.labels) },
  };
}
