"""Which mail is learnt from, which chooses the epoch, which is held out, and what is too alike to stay."""

from __future__ import annotations

import random
import re
from collections import Counter, defaultdict
from dataclasses import dataclass, field

NEAR_DUPLICATE_JACCARD = 0.5
SHINGLE_WORDS = 5
HEAD_CHARACTERS = 1500
EARLIER_SHARE = 0.6
VALIDATION_SHARE = 0.1
ALWAYS_TRAINED = ("spam-1", "easy-ham-1")


@dataclass(frozen=True)
class Mail:
    id: str
    group: str
    order: int
    label: int
    text: str
    unmasked: str


@dataclass
class Split:
    name: str
    train: list[Mail]
    validation: list[Mail]
    held_out: list[Mail]
    dropped: list[Mail] = field(default_factory=list)


def make_split(mails: list[Mail], name: str, seed: int) -> Split:
    """Near-duplicates leave the training side: the held-out part stays as the mailbox really was."""
    sizes = Counter(mail.group for mail in mails)
    held_out = [mail for mail in mails if is_held_out(mail, sizes, name)]
    learnable = [mail for mail in mails if not is_held_out(mail, sizes, name)]
    alike = near_duplicates(learnable, held_out)
    dropped = [mail for mail in learnable if mail.id in alike]
    learnable = [mail for mail in learnable if mail.id not in alike]
    train, validation = take_validation(learnable, seed)
    return Split(name, train, validation, held_out, dropped)


def is_held_out(mail: Mail, sizes: Counter[str], name: str) -> bool:
    if mail.group in ALWAYS_TRAINED:
        return False
    return name == "strict" or mail.order >= EARLIER_SHARE * sizes[mail.group]


def take_validation(mails: list[Mail], seed: int) -> tuple[list[Mail], list[Mail]]:
    """A validation mail that resembles a training mail goes back to training, or it would flatter late epochs."""
    shuffled = sorted(mails, key=lambda mail: mail.id)
    random.Random(seed).shuffle(shuffled)
    size = round(VALIDATION_SHARE * len(shuffled))
    candidates, train = shuffled[:size], shuffled[size:]
    alike = near_duplicates(candidates, train)
    validation = [mail for mail in candidates if mail.id not in alike]
    return train + [mail for mail in candidates if mail.id in alike], validation


def near_duplicates(candidates: list[Mail], reference: list[Mail]) -> set[str]:
    """Ids of candidates whose whole text, or whose beginning (all a truncating model sees), resembles a reference."""
    found: set[str] = set()
    for cut in (None, HEAD_CHARACTERS):
        found |= similar_ids(candidates, reference, cut)
    return found


def similar_ids(candidates: list[Mail], reference: list[Mail], cut: int | None) -> set[str]:
    """Exact Jaccard by an inverted index; at this corpus size MinHash would save nothing."""
    sizes, index = [], defaultdict(list)
    for number, mail in enumerate(reference):
        own = shingles(mail.text[:cut])
        sizes.append(len(own))
        for shingle in own:
            index[shingle].append(number)
    found = set()
    for mail in candidates:
        own = shingles(mail.text[:cut])
        shared = Counter(number for shingle in own for number in index.get(shingle, ()))
        if any(both / (len(own) + sizes[n] - both) >= NEAR_DUPLICATE_JACCARD for n, both in shared.items()):
            found.add(mail.id)
    return found


def shingles(text: str) -> set[tuple[str, ...]]:
    """Digits are levelled so that a changed date or tracking number does not hide a repeated mail."""
    words = re.findall(r"\w+", re.sub(r"\d", "0", text.lower()))
    return {tuple(words[i:i + SHINGLE_WORDS]) for i in range(max(1, len(words) - SHINGLE_WORDS + 1))}
