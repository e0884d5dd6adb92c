"""The code blocks of README.md, CONTRIBUTING.md and docs/."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

__all__ = ["PAGES", "ROOT", "Block", "blocks"]

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
_FENCE = re.compile(r"(?:^<!-- only (\w+): .+ -->\n)?^```(\w*)([^\n]*)\n(.*?)^```$", re.M | re.S)
_INLINE = re.compile(r"`(make [^`]+)`")


class Block(NamedTuple):
    """A code block; a DAG with ``only`` is just ``imported`` or ``parsed``, as the page explains."""

    page: str
    line: int
    language: str
    title: str
    text: str
    only: str

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


def _blocks(path: Path) -> Iterator[Block]:
    text = path.read_text()
    for found in _FENCE.finditer(text):
        only, language, more, code = found.groups()
        title = re.search(r'title="(.*?)"', more)
        line = text.count("\n", 0, found.start(4)) + 1
        yield Block(path.name, line, language, title[1] if title else "", code, only or "")
    for found in _INLINE.finditer(text):
        yield Block(path.name, text.count("\n", 0, found.start()) + 1, "bash", "", found[1], "")


def blocks(*languages: str) -> list[Block]:
    """List every block in one of these languages, or in any if none is given."""
    found = [block for path in PAGES for block in _blocks(path)]
    return [block for block in found if not languages or block.language in languages]
