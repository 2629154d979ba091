"""The committed sample of held-out mails: small, masked, stratified, seeded."""

from __future__ import annotations

import gzip
import json
import random
import re
from collections import defaultdict
from pathlib import Path

from mail_text import MASKED_ADDRESS, MASKED_PHONE
from split import Mail

SAMPLE_SIZE = 400
LONGEST_TEXT = 30_000
ADDRESS_LEFT = re.compile(r"[\w.+-]+@[\w-]+\.[\w.-]+")
PHONE_LEFT = re.compile(
    r"(?<!\d)\(?\d{3}\)?[ ./-]{1,3}\d{3}[ .-]{1,2}\d{4}(?!\d)|\+\d[\d ().-]{7,}\d|(?<![\d-])\d{3}-\d{4}(?![\d-])"
)


def draw_sample(held_out: list[Mail], seed: int) -> list[Mail]:
    """Each group keeps its share of the held-out part; rounding the running sum makes the sizes add up."""
    by_group: dict[str, list[Mail]] = defaultdict(list)
    for mail in held_out:
        if is_publishable(mail.text):
            by_group[mail.group].append(mail)
    total = sum(map(len, by_group.values()))
    chance, sample, passed = random.Random(seed), [], 0
    for group in sorted(by_group):
        passed += len(by_group[group])
        wanted = round(SAMPLE_SIZE * passed / total) - len(sample)
        sample += chance.sample(by_group[group], wanted)
    return sorted(sample, key=lambda mail: mail.id)


def is_publishable(text: str) -> bool:
    """Neither a text that would swell the file, nor one in which a second look still finds a mailbox or a number."""
    return len(text) <= LONGEST_TEXT and not contacts_left(text)


def contacts_left(text: str) -> list[str]:
    """Wider patterns than those that mask: what they find wrongly costs one candidate, not the reader's text."""
    addresses = [found for found in ADDRESS_LEFT.findall(text) if found.rstrip(".-") != MASKED_ADDRESS]
    numbers = [found for found in PHONE_LEFT.findall(text) if found != MASKED_PHONE]
    return addresses + numbers


def write_sample(sample: list[Mail], path: Path) -> None:
    """A fixed time stamp in the gzip header, so that the same seed gives the same bytes."""
    lines = [
        json.dumps({"id": m.id, "group": m.group, "label": "spam" if m.label else "ham", "text": m.text},
                   ensure_ascii=False)
        for m in sample
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(("\n".join(lines) + "\n").encode(), 9, mtime=0))
