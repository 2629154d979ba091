/** What a batch of sequences is: its length, its positions, which of its tokens are padding. */
import { dataTypes } from '../../onnx/messages.js';
import type { Module, Value } from '../network/network.js';

/** What is added to the scores of padding: the least float32, as `transformers` does it. */
export const MASKED_SCORE = -3.4028234663852886e38;

/** Length of the (padded) sequences: int64 [1]. */
export function sequenceLength(module: Module): Value {
  return module.once('length', (of) =>
    of.apply('Shape', [of.input('input_ids')], { start: 1, end: 2 }),
  );
}

/** 1 for a token and 0 for padding: float32 [batch, sequence]. */
export function tokenMask(module: Module): Value {
  return module.once('mask', (of) =>
    of.apply('Cast', [of.input('attention_mask')], { to: dataTypes.float }),
  );
}

/** 0 for a token and {@link MASKED_SCORE} for padding: float32 [batch, 1, 1, sequence]. */
export function additiveMask(module: Module): Value {
  return module.once('additive_mask', (of) => {
    const { graph } = of;
    const padding = of.apply('Sub', [graph.scalar(1), tokenMask(of)]);
    const scores = of.apply('Mul', [padding, graph.scalar(MASKED_SCORE)]);
    return of.apply('Unsqueeze', [scores, graph.integers(1, 2)]);
  });
}

/**
 * 0, 1, 2, … of each sequence: int64 [batch, sequence]. A running count of ones: unlike a slice of 0, 1, 2, … it
 * keeps the shape known, which ONNX Runtime's fusions ask for.
 */
export function positions(module: Module): Value {
  return module.once('positions', (of) => {
    const ids = of.input('input_ids');
    const ones = of.apply('Add', [of.apply('Sub', [ids, ids]), of.graph.integer(1)]);
    return of.apply('CumSum', [ones, of.graph.integer(1)], { exclusive: 1 });
  });
}

/**
 * Positions as RoBERTa counts them: tokens from `padTokenId` + 1 on, padding (by its id) stays at `padTokenId`.
 * int64 [batch, sequence].
 */
export function positionsBehindPadding(module: Module, padTokenId: number): Value {
  return module.once('positions', (of) => {
    const { graph } = of;
    const pad = graph.integer(padTokenId);
    const isPadding = of.apply('Equal', [of.input('input_ids'), pad]);
    const isToken = of.apply('Not', [isPadding]);
    const ones = of.apply('Cast', [isToken], { to: dataTypes.int64 });
    const count = of.apply('CumSum', [ones, graph.integer(1)]);
    return of.apply('Add', [of.apply('Mul', [count, ones]), pad]);
  });
}

/** The hidden state of the first token: [batch, sequence, hidden] → [batch, hidden]. */
export function firstToken(module: Module, states: Value): Value {
  return module.apply('Gather', [states, module.graph.integer(0)], { axis: 1 });
}

/** The mean of a sequence's tokens, without padding: [batch, sequence, hidden] → [batch, hidden]. */
export function meanOfTokens(module: Module, states: Value): Value {
  const { graph } = module;
  const mask = module.apply('Unsqueeze', [tokenMask(module), graph.integers(2)]);
  const masked = module.apply('Mul', [states, mask]);
  const axis = graph.integers(1);
  const sum = module.apply('ReduceSum', [masked, axis], { keepdims: 0 });
  const count = module.apply('ReduceSum', [mask, axis], { keepdims: 0 });
  return module.apply('Div', [sum, count]);
}

/**
 * {@link additiveMask} that also hides tokens further away than `window`: float32 [batch, 1, sequence,
 * sequence].
 */
export function windowMask(module: Module, window: number): Value {
  return module.once('window_mask', (of) => {
    const { graph } = of;
    const length = of.apply('Squeeze', [sequenceLength(of)]);
    const places = of.apply('Range', [graph.integer(0), length, graph.integer(1)]);
    const column = of.apply('Unsqueeze', [places, graph.integers(1)]);
    const distance = of.apply('Abs', [of.apply('Sub', [column, places])]);
    const isNear = of.apply('LessOrEqual', [distance, graph.integer(window)]);
    return of.apply('Where', [isNear, additiveMask(of), graph.scalar(MASKED_SCORE)]);
  });
}
