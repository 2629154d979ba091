"""Writes the folder a server loads: configuration, tokenizer and ONNX file."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnxruntime
from tokenizers import Tokenizer

from model import SpamClassifier
from onnx_export import export

LABELS = {0: "ham", 1: "spam"}
TOLERANCE = 1e-4


def write_package(model: SpamClassifier, tokenizer: Tokenizer, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / "config.json", model_config(model))
    write_json(folder / "tokenizer_config.json", tokenizer_config(model.shape.max_length))
    tokenizer.save(str(folder / "tokenizer.json"))
    export(model, folder / "onnx" / "model.onnx")


def model_config(model: SpamClassifier) -> dict:
    shape = model.shape
    return {
        "architectures": ["BertForSequenceClassification"],
        "model_type": "bert",
        "problem_type": "single_label_classification",
        "id2label": {str(number): label for number, label in LABELS.items()},
        "label2id": {label: number for number, label in LABELS.items()},
        "vocab_size": shape.vocab_size,
        "hidden_size": shape.hidden,
        "num_hidden_layers": shape.layers,
        "num_attention_heads": shape.heads,
        "intermediate_size": shape.intermediate,
        "hidden_act": "gelu",
        "hidden_dropout_prob": shape.dropout,
        "attention_probs_dropout_prob": 0.0,
        "classifier_dropout": shape.dropout,
        "max_position_embeddings": shape.max_length,
        "type_vocab_size": 2,
        "initializer_range": 0.02,
        "layer_norm_eps": 1e-12,
        "pad_token_id": 0,
        "position_embedding_type": "absolute",
        "torch_dtype": "float32",
    }


def tokenizer_config(max_length: int) -> dict:
    return {
        "tokenizer_class": "BertTokenizer",
        "model_max_length": max_length,
        "model_input_names": ["input_ids", "attention_mask"],
        "do_lower_case": True,
        "strip_accents": True,
        "tokenize_chinese_chars": True,
        "clean_up_tokenization_spaces": True,
        "pad_token": "[PAD]",
        "unk_token": "[UNK]",
        "cls_token": "[CLS]",
        "sep_token": "[SEP]",
        "mask_token": "[MASK]",
        "padding_side": "right",
        "truncation_side": "right",
    }


def write_json(path: Path, value: dict) -> None:
    path.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def open_session(path: Path) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def onnx_logits(session: onnxruntime.InferenceSession, rows: list[list[int]], batch_size: int = 16) -> np.ndarray:
    """Unsorted batches on purpose: short and long mails together show whether padding leaks into the answer."""
    answers = []
    for start in range(0, len(rows), batch_size):
        batch = rows[start:start + batch_size]
        ids = np.zeros((len(batch), max(map(len, batch))), np.int64)
        mask = np.zeros_like(ids)
        for number, row in enumerate(batch):
            ids[number, :len(row)] = row
            mask[number, :len(row)] = 1
        answers.append(session.run(["logits"], {"input_ids": ids, "attention_mask": mask})[0])
    return np.concatenate(answers)


def check_agreement(torch_logits: np.ndarray, from_onnx: np.ndarray) -> float:
    gap = float(np.abs(torch_logits - from_onnx).max())
    if gap > TOLERANCE:
        raise ValueError(f"ONNX Runtime and PyTorch disagree by {gap}")
    return gap
