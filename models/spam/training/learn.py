"""Everything that learns: tokenizer and classifier. It never receives a held-out text."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

import torch
from tokenizers import Tokenizer

from fit import Recipe, new_model, train_classifier
from model import Shape, SpamClassifier
from split import Mail
from wordpiece import encode_all, train_tokenizer

VOCABULARY_SIZE = 8192


@dataclass
class Learnt:
    model: SpamClassifier
    tokenizer: Tokenizer
    notes: dict


def learn(train: list[Mail], validation: list[Mail], recipe: Recipe, store: Path, vocabulary: Path) -> Learnt:
    """Reuses a finished run in the work folder, as training takes most of the time and the rest is often rerun."""
    checkpoint = store / "checkpoint.pt"
    if not checkpoint.is_file():
        store.mkdir(parents=True, exist_ok=True)
        torch.save(run(train, validation, recipe, vocabulary), checkpoint)
    saved = torch.load(checkpoint, weights_only=True)
    model = SpamClassifier(Shape(**saved["shape"]))
    model.load_state_dict(saved["weights"])
    return Learnt(model.eval(), Tokenizer.from_file(str(vocabulary)), saved["notes"])


def tokenizer_for(train: list[Mail], vocabulary: Path) -> Tokenizer:
    """The trainer of `tokenizers` breaks ties by chance, so a vocabulary once trained is kept to be reproducible."""
    if not vocabulary.is_file():
        vocabulary.parent.mkdir(parents=True, exist_ok=True)
        train_tokenizer([mail.text for mail in train], VOCABULARY_SIZE).save(str(vocabulary))
    return Tokenizer.from_file(str(vocabulary))


def run(train: list[Mail], validation: list[Mail], recipe: Recipe, vocabulary: Path) -> dict:
    begun = time.time()
    tokenizer = tokenizer_for(train, vocabulary)
    train_ids = encode_all(tokenizer, [mail.text for mail in train])
    validation_ids = encode_all(tokenizer, [mail.text for mail in validation])
    model = new_model(tokenizer.get_vocab_size(), recipe)
    model, history = train_classifier(
        model, (train_ids, [m.label for m in train]), (validation_ids, [m.label for m in validation]), recipe
    )
    notes = {
        "minutes": round((time.time() - begun) / 60, 1), "history": history, "recipe": recipe.to_dict(),
    }
    return {"shape": model.shape.to_dict(), "weights": model.state_dict(), "notes": notes}
