"""A small BERT whose parameters carry the names of Hugging Face's `BertForSequenceClassification`."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import torch
from torch import nn
from torch.nn import functional as F


@dataclass(frozen=True)
class Shape:
    vocab_size: int
    hidden: int = 128
    layers: int = 3
    heads: int = 4
    intermediate: int = 512
    max_length: int = 256
    dropout: float = 0.1

    def to_dict(self) -> dict:
        return asdict(self)


class SelfAttention(nn.Module):
    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.heads, self.dropout = shape.heads, shape.dropout
        self.query = nn.Linear(shape.hidden, shape.hidden)
        self.key = nn.Linear(shape.hidden, shape.hidden)
        self.value = nn.Linear(shape.hidden, shape.hidden)

    def forward(self, x: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        batch, length, width = x.shape
        query, key, value = (
            part(x).view(batch, length, self.heads, -1).transpose(1, 2) for part in (self.query, self.key, self.value)
        )
        mixed = F.scaled_dot_product_attention(query, key, value, attn_mask=mask)
        return mixed.transpose(1, 2).reshape(batch, length, width)


class Output(nn.Module):
    """Projection, residual, norm: the tail both half-layers of BERT share."""

    def __init__(self, inner: int, shape: Shape) -> None:
        super().__init__()
        self.dense = nn.Linear(inner, shape.hidden)
        self.LayerNorm = nn.LayerNorm(shape.hidden, eps=1e-12)
        self.dropout = nn.Dropout(shape.dropout)

    def forward(self, x: torch.Tensor, residual: torch.Tensor) -> torch.Tensor:
        return self.LayerNorm(self.dropout(self.dense(x)) + residual)


class Layer(nn.Module):
    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.attention = nn.ModuleDict({"self": SelfAttention(shape), "output": Output(shape.hidden, shape)})
        self.intermediate = nn.ModuleDict({"dense": nn.Linear(shape.hidden, shape.intermediate)})
        self.output = Output(shape.intermediate, shape)

    def forward(self, x: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        x = self.attention["output"](self.attention["self"](x, mask), x)
        return self.output(F.gelu(self.intermediate["dense"](x)), x)


class Embeddings(nn.Module):
    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.word_embeddings = nn.Embedding(shape.vocab_size, shape.hidden, padding_idx=0)
        self.position_embeddings = nn.Embedding(shape.max_length, shape.hidden)
        self.token_type_embeddings = nn.Embedding(2, shape.hidden)
        self.LayerNorm = nn.LayerNorm(shape.hidden, eps=1e-12)
        self.dropout = nn.Dropout(shape.dropout)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        positions = self.position_embeddings.weight[: ids.shape[1]] + self.token_type_embeddings.weight[0]
        return self.dropout(self.LayerNorm(self.word_embeddings(ids) + positions))


class Bert(nn.Module):
    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.embeddings = Embeddings(shape)
        self.encoder = nn.ModuleDict({"layer": nn.ModuleList(Layer(shape) for _ in range(shape.layers))})
        self.pooler = nn.ModuleDict({"dense": nn.Linear(shape.hidden, shape.hidden)})

    def forward(self, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        x, attend = self.embeddings(ids), mask[:, None, None, :].bool()
        for layer in self.encoder["layer"]:
            x = layer(x, attend)
        return x


class SpamClassifier(nn.Module):
    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape
        self.bert = Bert(shape)
        self.dropout = nn.Dropout(shape.dropout)
        self.classifier = nn.Linear(shape.hidden, 2)
        self.apply(init_weights)

    def forward(self, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        return self.classify(self.bert(ids, mask))

    def classify(self, states: torch.Tensor) -> torch.Tensor:
        return self.classifier(self.dropout(torch.tanh(self.bert.pooler["dense"](states[:, 0]))))


class MaskedWordHead(nn.Module):
    """Guesses hidden words with the input embeddings as output weights; thrown away after training."""

    def __init__(self, bert: Bert, shape: Shape) -> None:
        super().__init__()
        self.words = bert.embeddings.word_embeddings
        self.transform = nn.Sequential(nn.Linear(shape.hidden, shape.hidden), nn.GELU(), nn.LayerNorm(shape.hidden))
        self.bias = nn.Parameter(torch.zeros(shape.vocab_size))
        self.transform.apply(init_weights)

    def forward(self, states: torch.Tensor) -> torch.Tensor:
        return self.transform(states) @ self.words.weight.T + self.bias


def init_weights(module: nn.Module) -> None:
    if isinstance(module, (nn.Linear, nn.Embedding)):
        nn.init.normal_(module.weight, std=0.02)
    if isinstance(module, nn.Linear):
        nn.init.zeros_(module.bias)
