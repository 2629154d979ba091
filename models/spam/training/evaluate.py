"""Figures with their uncertainty: Wilson intervals for shares, a bootstrap for F1, which is no share."""

from __future__ import annotations

import math
from collections import Counter

import numpy as np

BOOTSTRAP_ROUNDS = 10_000
Z = 1.959964


def wilson(hits: int, total: int) -> list[float]:
    if total == 0:
        return [0.0, 1.0]
    share, square = hits / total, Z * Z
    middle = (share + square / (2 * total)) / (1 + square / total)
    half = Z * math.sqrt(share * (1 - share) / total + square / (4 * total * total)) / (1 + square / total)
    return [round(max(0.0, middle - half), 4), round(min(1.0, middle + half), 4)]


def f1_of(tp: np.ndarray, fp: np.ndarray, fn: np.ndarray) -> np.ndarray:
    return 2 * tp / np.maximum(1, 2 * tp + fp + fn)


def f1_interval(counts: tuple[int, int, int, int], seed: int) -> list[float]:
    """Resampling mails is drawing the four cells from a multinomial, which needs no loop over mails."""
    total = sum(counts)
    drawn = np.random.default_rng(seed).multinomial(total, np.array(counts) / total, BOOTSTRAP_ROUNDS)
    tp, fp, fn = drawn[:, 0], drawn[:, 1], drawn[:, 3]
    low, high = np.percentile(f1_of(tp, fp, fn), [2.5, 97.5])
    return [round(float(low), 4), round(float(high), 4)]


def share(hits: int, total: int) -> dict:
    return {"value": round(hits / total, 4) if total else None, "interval": wilson(hits, total)}


def report(labels: list[int], guesses: list[int], groups: list[str], seed: int) -> dict:
    cells = Counter(zip(labels, guesses))
    tp, fp, tn, fn = cells[1, 1], cells[0, 1], cells[0, 0], cells[1, 0]
    return {
        "n": len(labels), "tp": tp, "fp": fp, "tn": tn, "fn": fn,
        "accuracy": share(tp + tn, len(labels)),
        "precision": share(tp, tp + fp),
        "recall": share(tp, tp + fn),
        "f1": {"value": round(float(f1_of(tp, fp, fn)), 4), "interval": f1_interval((tp, fp, tn, fn), seed)},
        "groups": {group: group_report(labels, guesses, groups, group) for group in sorted(set(groups))},
    }


def group_report(labels: list[int], guesses: list[int], groups: list[str], group: str) -> dict:
    """Every group holds one label only, so its accuracy says all there is to say."""
    pairs = [(label, guess) for label, guess, own in zip(labels, guesses, groups) if own == group]
    right = sum(label == guess for label, guess in pairs)
    return {"n": len(pairs), "right": right, "accuracy": share(right, len(pairs))}
