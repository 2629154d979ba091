"""The ONNX graph, written node by node.

An exporter would do, but its graph changes with its version and spells reshapes through dynamic
shapes. This graph stays the same, uses standard operators alone and keeps the plain BERT pattern, in
which ONNX Runtime's level 'extended' fuses GELU with its bias and scaling into the matrix products.
Its attention fusion looks for the operators of opset 12 and older and leaves this graph's as it is.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from model import SpamClassifier

OPSET = 17
IR_VERSION = 8
BLOCKED = -10000.0


class GraphWriter:
    def __init__(self, weights: dict[str, np.ndarray]) -> None:
        self.weights = weights
        self.nodes: list[onnx.NodeProto] = []
        self.initializers: dict[str, onnx.TensorProto] = {}

    def constant(self, name: str, value: np.ndarray) -> str:
        if name not in self.initializers:
            self.initializers[name] = numpy_helper.from_array(np.array(value, order="C"), name)
        return name

    def node(self, kind: str, inputs: list[str], name: str, **attributes) -> str:
        self.nodes.append(helper.make_node(kind, inputs, [name], name=f"{name}/{kind}", **attributes))
        return name

    def linear(self, x: str, parameter: str, name: str) -> str:
        weight = self.constant(f"{parameter}.weight_t", self.weights[f"{parameter}.weight"].T)
        bias = self.constant(f"{parameter}.bias", self.weights[f"{parameter}.bias"])
        return self.node("Add", [self.node("MatMul", [x, weight], f"{name}/matmul"), bias], name)

    def norm(self, x: str, parameter: str, name: str) -> str:
        scale = self.constant(f"{parameter}.weight", self.weights[f"{parameter}.weight"])
        bias = self.constant(f"{parameter}.bias", self.weights[f"{parameter}.bias"])
        return self.node("LayerNormalization", [x, scale, bias], name, axis=-1, epsilon=1e-12)

    def gelu(self, x: str, name: str) -> str:
        inner = self.node("Div", [x, self.constant("sqrt_two", np.float32(np.sqrt(2)))], f"{name}/scaled")
        error = self.node("Erf", [inner], f"{name}/erf")
        plus = self.node("Add", [error, self.constant("one", np.float32(1))], f"{name}/plus")
        twice = self.node("Mul", [x, plus], f"{name}/twice")
        return self.node("Mul", [twice, self.constant("half", np.float32(0.5))], name)


def export(model: SpamClassifier, path: Path) -> None:
    shape = model.shape
    graph = GraphWriter({name: tensor.detach().numpy() for name, tensor in model.state_dict().items()})
    bias = write_mask(graph)
    x = write_embeddings(graph)
    for number in range(shape.layers):
        x = write_layer(graph, x, bias, number, shape.heads, shape.hidden)
    write_head(graph, x)
    path.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(finish(graph), str(path))


def write_mask(graph: GraphWriter) -> str:
    rows = graph.node("Unsqueeze", ["attention_mask", graph.constant("axis_1", np.array([1], np.int64))], "mask/rows")
    heads = graph.node("Unsqueeze", [rows, graph.constant("axis_2", np.array([2], np.int64))], "mask/heads")
    kept = graph.node("Cast", [heads], "mask/kept", to=TensorProto.FLOAT)
    hidden = graph.node("Sub", [graph.constant("mask_one", np.float32(1)), kept], "mask/hidden")
    return graph.node("Mul", [hidden, graph.constant("blocked", np.float32(BLOCKED))], "mask/bias")


def write_embeddings(graph: GraphWriter) -> str:
    """Token type 0 is every token's, so it is folded into the positions and needs no input."""
    prefix = "bert.embeddings"
    words = graph.constant("words", graph.weights[f"{prefix}.word_embeddings.weight"])
    places = graph.weights[f"{prefix}.position_embeddings.weight"]
    places = places + graph.weights[f"{prefix}.token_type_embeddings.weight"][0]
    length = graph.node("Slice", [
        graph.node("Shape", ["input_ids"], "embeddings/shape"), graph.constant("from_1", np.array([1], np.int64)),
        graph.constant("to_2", np.array([2], np.int64)),
    ], "embeddings/length")
    used = graph.node("Slice", [
        graph.constant("places", places), graph.constant("from_0", np.array([0], np.int64)), length,
        graph.constant("axis_0", np.array([0], np.int64)),
    ], "embeddings/places")
    looked_up = graph.node("Gather", [words, "input_ids"], "embeddings/words")
    return graph.norm(graph.node("Add", [looked_up, used], "embeddings/sum"), f"{prefix}.LayerNorm", "embeddings/norm")


def write_layer(graph: GraphWriter, x: str, bias: str, number: int, heads: int, hidden: int) -> str:
    prefix, name = f"bert.encoder.layer.{number}", f"layer_{number}"
    mixed = write_attention(graph, x, bias, f"{prefix}.attention.self", f"{name}/attention", heads, hidden)
    projected = graph.linear(mixed, f"{prefix}.attention.output.dense", f"{name}/attention/output")
    x = graph.norm(graph.node("Add", [projected, x], f"{name}/attention/residual"),
                   f"{prefix}.attention.output.LayerNorm", f"{name}/attention/norm")
    wide = graph.gelu(graph.linear(x, f"{prefix}.intermediate.dense", f"{name}/wide"), f"{name}/gelu")
    narrow = graph.linear(wide, f"{prefix}.output.dense", f"{name}/narrow")
    return graph.norm(graph.node("Add", [narrow, x], f"{name}/residual"), f"{prefix}.output.LayerNorm", f"{name}/norm")


def write_attention(graph: GraphWriter, x: str, bias: str, prefix: str, name: str, heads: int, hidden: int) -> str:
    split_shape = graph.constant("split_heads", np.array([0, 0, heads, hidden // heads], np.int64))
    join_shape = graph.constant("join_heads", np.array([0, 0, hidden], np.int64))

    def per_head(part: str, order: list[int]) -> str:
        flat = graph.linear(x, f"{prefix}.{part}", f"{name}/{part}")
        return graph.node("Transpose", [graph.node("Reshape", [flat, split_shape], f"{name}/{part}/split")],
                          f"{name}/{part}/heads", perm=order)

    query, key, value = per_head("query", [0, 2, 1, 3]), per_head("key", [0, 2, 3, 1]), per_head("value", [0, 2, 1, 3])
    root = graph.constant("root_of_head_size", np.float32(np.sqrt(hidden // heads)))
    scores = graph.node("Div", [graph.node("MatMul", [query, key], f"{name}/products"), root], f"{name}/scores")
    weights = graph.node("Softmax", [graph.node("Add", [scores, bias], f"{name}/masked")], f"{name}/weights", axis=-1)
    mixed = graph.node("Transpose", [graph.node("MatMul", [weights, value], f"{name}/values")], f"{name}/mixed",
                       perm=[0, 2, 1, 3])
    return graph.node("Reshape", [mixed, join_shape], f"{name}/joined")


def write_head(graph: GraphWriter, x: str) -> None:
    first = graph.node("Gather", [x, graph.constant("first_token", np.int64(0))], "pooler/first", axis=1)
    pooled = graph.node("Tanh", [graph.linear(first, "bert.pooler.dense", "pooler/dense")], "pooler/tanh")
    graph.linear(pooled, "classifier", "logits")


def finish(graph: GraphWriter) -> onnx.ModelProto:
    ids = [helper.make_tensor_value_info(name, TensorProto.INT64, ["batch", "sequence"])
           for name in ("input_ids", "attention_mask")]
    logits = helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", 2])
    body = helper.make_graph(graph.nodes, "spam", ids, [logits], list(graph.initializers.values()))
    model = helper.make_model(body, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION,
                              producer_name="training/onnx_export.py")
    onnx.checker.check_model(model, full_check=True)
    return model
