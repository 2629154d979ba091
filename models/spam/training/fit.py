"""Training for spam and for hidden words at once, on the training part only."""

from __future__ import annotations

import copy
import math
import random
import time
from dataclasses import asdict, dataclass

import torch
from torch.nn import functional as F

from model import MaskedWordHead, Shape, SpamClassifier
from wordpiece import MASK, PAD, framed

Ids = list[int]


@dataclass(frozen=True)
class Recipe:
    seed: int = 20021
    batch_size: int = 16
    epochs: int = 8
    rate: float = 7e-4
    weight_decay: float = 0.05
    warmup: float = 0.1
    label_smoothing: float = 0.05
    most_hidden: float = 0.4
    masked_word_share: float = 0.2
    crop_chance: float = 0.5
    shortest_crop: int = 32
    average_decay: float = 0.997

    def to_dict(self) -> dict:
        return asdict(self)


def pad(rows: list[Ids]) -> tuple[torch.Tensor, torch.Tensor]:
    width = max(map(len, rows))
    ids = torch.tensor([row + [PAD] * (width - len(row)) for row in rows])
    return ids, (ids != PAD).long()


def batches_of_like_length(lengths: list[int], size: int, chance: random.Random) -> list[list[int]]:
    """Rows of similar length share a batch, since on a CPU padding costs as much as words."""
    order = sorted(range(len(lengths)), key=lambda i: lengths[i] + chance.uniform(0, 24))
    batches = [order[i:i + size] for i in range(0, len(order), size)]
    chance.shuffle(batches)
    return batches


def schedule(step: int, total: int, warmup: float) -> float:
    """Linear warm-up, then a cosine down to zero."""
    start = max(1, int(warmup * total))
    if step < start:
        return (step + 1) / start
    return 0.5 * (1 + math.cos(math.pi * (step - start) / max(1, total - start)))


def make_optimizer(module: torch.nn.Module, rate: float, recipe: Recipe) -> torch.optim.Optimizer:
    """No decay on biases and norms, which have no reason to be small."""
    decayed = [p for p in module.parameters() if p.ndim > 1]
    free = [p for p in module.parameters() if p.ndim <= 1]
    groups = [{"params": decayed, "weight_decay": recipe.weight_decay}, {"params": free, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=rate, betas=(0.9, 0.98))


def step(module, optimizer, loss: torch.Tensor, scale: float, rate: float) -> None:
    for group in optimizer.param_groups:
        group["lr"] = rate * scale
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    torch.nn.utils.clip_grad_norm_(module.parameters(), 1.0)
    optimizer.step()


def cropped(ids: Ids, room: int, recipe: Recipe, chance: random.Random) -> Ids:
    """Half of the time any stretch of the mail stands for it, so that its opening alone does not decide."""
    if len(ids) <= recipe.shortest_crop or chance.random() >= recipe.crop_chance:
        return ids
    size = chance.randint(recipe.shortest_crop, min(room, len(ids)))
    start = chance.randint(0, len(ids) - size)
    return ids[start:start + size]


def hide_words(ids: torch.Tensor, most: float) -> torch.Tensor:
    """Each mail loses its own share of words, from none to `most`: the rest must do for both tasks."""
    share = torch.rand(ids.shape[0], 1) * most
    return (torch.rand(ids.shape) < share) & (ids > MASK)


class Average:
    """A running average of the weights; with so few mails the last step is a noisy choice of model."""

    def __init__(self, model: SpamClassifier, decay: float) -> None:
        self.model, self.decay, self.steps = copy.deepcopy(model).eval(), decay, 0

    @torch.no_grad()
    def follow(self, model: SpamClassifier) -> None:
        self.steps += 1
        decay = min(self.decay, self.steps / (self.steps + 10))
        for own, other in zip(self.model.parameters(), model.parameters()):
            own.lerp_(other, 1 - decay)


def both_losses(
    model: SpamClassifier, words: MaskedWordHead, rows: list[Ids], labels: list[int], recipe: Recipe
) -> tuple[torch.Tensor, torch.Tensor]:
    """One pass of the encoder serves both tasks, so the second costs little."""
    ids, mask = pad(rows)
    hidden = hide_words(ids, recipe.most_hidden)
    states = model.bert(ids.masked_fill(hidden, MASK), mask)
    label_loss = F.cross_entropy(model.classify(states), torch.tensor(labels), label_smoothing=recipe.label_smoothing)
    if not hidden.any():
        return label_loss, torch.zeros(())
    return label_loss, F.cross_entropy(words(states[hidden]), ids[hidden])


def train_classifier(
    model: SpamClassifier, train: tuple[list[Ids], list[int]], validation: tuple[list[Ids], list[int]], recipe: Recipe
) -> tuple[SpamClassifier, list[dict]]:
    """Keeps the averaged weights of the epoch with the lowest validation loss; the schedule is fixed beforehand.

    The spam label alone is one bit per mail; guessing hidden words in the same pass teaches the encoder
    the language of the mails as well and keeps it from learning the labels by heart.
    """
    chance = random.Random(recipe.seed + 1)
    texts, labels = train
    room = model.shape.max_length - 2
    words = MaskedWordHead(model.bert, model.shape)
    both = torch.nn.ModuleList([model, words])
    optimizer, average = make_optimizer(both, recipe.rate, recipe), Average(model, recipe.average_decay)
    total = recipe.epochs * math.ceil(len(texts) / recipe.batch_size)
    done, history, best = 0, [], None
    for epoch in range(recipe.epochs):
        both.train()
        losses, begun = [], time.time()
        rows = [framed(cropped(ids, room, recipe, chance), room + 2) for ids in texts]
        for batch in batches_of_like_length([len(row) for row in rows], recipe.batch_size, chance):
            label_loss, word_loss = both_losses(model, words, [rows[i] for i in batch], [labels[i] for i in batch], recipe)
            loss = label_loss + recipe.masked_word_share * word_loss
            losses.append(label_loss.item())
            step(both, optimizer, loss, schedule(done, total, recipe.warmup), recipe.rate)
            average.follow(model)
            done += 1
        history.append({"epoch": epoch + 1, "train_loss": sum(losses) / len(losses), **judge(average.model, *validation)})
        print(f"{history[-1]}, {time.time() - begun:.0f} s", flush=True)
        if best is None or history[-1]["validation_loss"] <= best[0]:
            best = history[-1]["validation_loss"], copy.deepcopy(average.model)
    return best[1], history


def judge(model: SpamClassifier, texts: list[Ids], labels: list[int]) -> dict:
    logits, target = predict(model, texts), torch.tensor(labels)
    guess = logits.argmax(1)
    hit = int(((guess == 1) & (target == 1)).sum())
    return {
        "validation_loss": F.cross_entropy(logits, target).item(),
        "validation_f1": 2 * hit / max(1, int((guess == 1).sum()) + int((target == 1).sum())),
    }


@torch.no_grad()
def predict(model: SpamClassifier, texts: list[Ids], batch_size: int = 32) -> torch.Tensor:
    model.eval()
    rows = [framed(ids, model.shape.max_length) for ids in texts]
    order = sorted(range(len(rows)), key=lambda i: len(rows[i]))
    logits = torch.empty(len(rows), 2)
    for start in range(0, len(order), batch_size):
        chosen = order[start:start + batch_size]
        logits[chosen] = model(*pad([rows[i] for i in chosen]))
    return logits


def new_model(vocab_size: int, recipe: Recipe) -> SpamClassifier:
    torch.manual_seed(recipe.seed)
    return SpamClassifier(Shape(vocab_size))
