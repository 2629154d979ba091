"""Reproduces the whole model folder: corpus, split, tokenizer, training, ONNX, figures, sample and card.

    python train.py
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from pathlib import Path

import torch

from card import write_card
from corpus import PACKAGE, PACKAGE_VERSION, RawMail, ensure_corpus, read_corpus
from evaluate import report
from fit import Recipe, predict
from held_out import draw_sample, write_sample
from learn import Learnt, learn
from mail_text import mail_text
from package_model import check_agreement, onnx_logits, open_session, write_json, write_package
from split import NEAR_DUPLICATE_JACCARD, Mail, Split, make_split
from wordpiece import encode_all, framed

HERE = Path(__file__).resolve().parent
VOCABULARIES = HERE / "vocabulary"
AGREEMENT_MAILS = 100


def main() -> None:
    options = read_options()
    torch.set_num_threads(options.threads)
    mails = [to_mail(raw) for raw in read_corpus(ensure_corpus(options.work))]
    recipe = Recipe()
    if options.split in ("strict", "both"):
        run_strict(mails, recipe, options.work)
    if options.split in ("default", "both"):
        run_default(mails, recipe, options.work, options.output)


def read_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, default=HERE.parent, help="the model folder to write")
    parser.add_argument("--work", type=Path, default=HERE / "work", help="corpus and checkpoints; may be deleted")
    parser.add_argument("--split", choices=["both", "default", "strict"], default="both")
    parser.add_argument("--threads", type=int, default=1, help="the committed run used 1; more may change last digits")
    return parser.parse_args()


def to_mail(raw: RawMail) -> Mail:
    return Mail(raw.id, raw.group, raw.order, int(raw.is_spam), mail_text(raw.raw), mail_text(raw.raw, mask=False))


def run_strict(mails: list[Mail], recipe: Recipe, work: Path) -> None:
    """The harder question: groups the model has never met. Leaves figures only, never the delivered model."""
    split = make_split(mails, "strict", recipe.seed)
    learnt = learn(split.train, split.validation, recipe, work / "strict", VOCABULARIES / "strict.json")
    write_package(learnt.model, learnt.tokenizer, work / "strict" / "package")
    session = open_session(work / "strict" / "package" / "onnx" / "model.onnx")
    figures = {
        "split": describe(split),
        "held_out": measure(session, learnt, split.held_out, [m.text for m in split.held_out], recipe.seed),
        "training": learnt.notes,
    }
    write_json(work / "strict" / "metrics.json", figures)


def run_default(mails: list[Mail], recipe: Recipe, work: Path, output: Path) -> None:
    split = make_split(mails, "default", recipe.seed)
    learnt = learn(split.train, split.validation, recipe, work / "default", VOCABULARIES / "default.json")
    sample = draw_sample(split.held_out, recipe.seed)
    write_sample(sample, output / "held-out" / "mails.jsonl.gz")
    write_package(learnt.model, learnt.tokenizer, output)
    session = open_session(output / "onnx" / "model.onnx")
    figures = {
        "positive": "spam",
        "max_length": learnt.model.shape.max_length,
        "corpus": {"package": PACKAGE, "version": PACKAGE_VERSION, "mails": len(mails)},
        "split": describe(split),
        "held_out": measure(session, learnt, split.held_out, [m.text for m in split.held_out], recipe.seed),
        "held_out_unmasked": measure(session, learnt, split.held_out, [m.unmasked for m in split.held_out], recipe.seed),
        "sample": measure(session, learnt, sample, [m.text for m in sample], recipe.seed),
        "onnx_against_pytorch": agreement(session, learnt, sample[:AGREEMENT_MAILS]),
        "model": {**learnt.model.shape.to_dict(), "parameters": sum(p.numel() for p in learnt.model.parameters())},
        "training": learnt.notes,
        "strict": read_if_there(work / "strict" / "metrics.json"),
    }
    write_json(output / "metrics.json", figures)
    write_card(figures, output)


def measure(session, learnt: Learnt, mails: list[Mail], texts: list[str], seed: int) -> dict:
    """Always through the ONNX file, because that file is what answers in service."""
    rows = [framed(ids, learnt.model.shape.max_length) for ids in encode_all(learnt.tokenizer, texts)]
    guesses = onnx_logits(session, rows).argmax(1).tolist()
    return report([m.label for m in mails], guesses, [m.group for m in mails], seed)


def agreement(session, learnt: Learnt, mails: list[Mail]) -> dict:
    ids = encode_all(learnt.tokenizer, [m.text for m in mails])
    rows = [framed(row, learnt.model.shape.max_length) for row in ids]
    gap = check_agreement(predict(learnt.model, ids).numpy(), onnx_logits(session, rows))
    return {"mails": len(mails), "largest_difference": gap}


def describe(split: Split) -> dict:
    parts = {"train": split.train, "validation": split.validation, "held_out": split.held_out,
             "dropped_from_training_as_near_duplicates": split.dropped}
    counts = {name: {"n": len(mails), **Counter(mail.group for mail in mails)} for name, mails in parts.items()}
    return {"name": split.name, "near_duplicate_jaccard": NEAR_DUPLICATE_JACCARD, **counts}


def read_if_there(path: Path) -> dict | None:
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None


if __name__ == "__main__":
    main()
