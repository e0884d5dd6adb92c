"""The documents in the repository hold complete facts of the originals, and no prose."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.contract.documents import EXAMPLE_REPLIES, SPECS, load
from tests.contract.made_up import MadeUp
from tests.contract.make_specs import NAMES, extract_facts, find_originals, make_files

SHIPPED = sorted(path.stem for path in SPECS.glob("*.json"))


def values(node: Any, *path: str) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every value of a document that has no parts, with the keys that lead to it."""
    if isinstance(node, dict):
        for key, each in node.items():
            yield from values(each, *path, key)
    elif isinstance(node, list):
        for each in node:
            yield from values(each, *path)
    else:
        yield path, node


def test_specs_are_those_that_the_script_writes() -> None:
    assert set(SHIPPED) == set(NAMES)


def test_specs_readme_names_each_file() -> None:
    readme = (SPECS / "README.md").read_text("utf-8")
    assert [name for name in SHIPPED if f"| `{name}.json` |" not in readme] == []


@pytest.mark.parametrize("name", SHIPPED)
def test_specs_hold_no_prose(name: str) -> None:
    assert extract_facts(load(name)) == load(name)
    for path, value in values(load(name)):
        assert "enum" in path or path[-1] == "default" or len(str(value).split()) < 3, path


@pytest.mark.parametrize("name", SHIPPED)
def test_specs_refer_to_what_is_there(name: str) -> None:
    document = load(name)
    for path, value in values(document):
        if path[-1] == "$ref":
            node: Any = document
            for key in value.removeprefix("#/").split("/"):
                node = node[key]


def test_specs_match_the_originals() -> None:
    originals = find_originals()
    if originals is None:
        pytest.skip("Twilio's OpenAPI documents are neither in $TWILIO_SPECS nor in ../shared/twilio/specs")
    stale = [path.name for path, text in make_files(originals).items() if path.read_text("utf-8") != text]
    assert stale == [], "run python -m tests.contract.make_specs"


def test_make_specs_drops_prose_and_keeps_fields_of_the_same_name() -> None:
    schema = {
        "title": "Media",
        "description": "A file.",
        "x-note": "Ours.",
        "required": ["title"],
        "properties": {
            "title": {"type": "string", "description": "Its title.", "example": "Cat"},
            "description": {"enum": ["title"], "default": {"summary": "kept"}},
            "examples": {"items": {"type": "string", "examples": ["Cat"]}},
            "x-size": {"type": "integer"},
        },
    }
    assert extract_facts(schema) == {
        "required": ["title"],
        "properties": {
            "title": {"type": "string"},
            "description": {"enum": ["title"], "default": {"summary": "kept"}},
            "examples": {"items": {"type": "string"}},
            "x-size": {"type": "integer"},
        },
    }


def test_make_specs_finds_no_originals_in_an_empty_folder(tmp_path: Path) -> None:
    assert find_originals(str(tmp_path)) is None


SID = "SM" + "a" * 32
NEW = "SM" + "0" * 31 + "1"


@pytest.mark.parametrize(
    ("given", "made"),
    [
        (None, None),
        (30007, 30007),
        ("", ""),
        ("queued", "queued"),
        (SID, NEW),
        ([SID, SID], [NEW, NEW]),
        (
            {"uri": f"/Messages/{SID}.json?To=%2B1415&Page=1"},
            {"uri": f"/Messages/{NEW[:-1]}2.json?To=%2B12025550003&Page=1"},
        ),
        ("https://shop.example.com/cat.jpg", "https://example.org/0001"),
        ("whatsapp:+14155550000", "whatsapp:+12025550002"),
        ("rcs:our_agent", "rcs:agent_0001"),
        ("-0.00750", "-3.56789"),
        ("0", "0"),
        ("Thu, 30 Jul 2015 20:12:33 +0000", "Thu, 01 Jan 2026 13:00:01 +0000"),
        ("2015-07-30T20:12:33Z", "2026-01-01T13:00:01Z"),
        ("2015-07-30", "2026-01-01"),
        ("Hello {{1}}!", "text 0001 {{1}}"),
        ("Olá", "text 0001 \N{WHITE HEAVY CHECK MARK}"),
    ],
)
def test_make_specs_makes_up_texts_of_the_same_shape(given: Any, made: Any) -> None:
    assert MadeUp({"schema": {"enum": ["queued"]}}).rewrite(given) == made


def test_make_specs_leaves_no_text_of_an_example() -> None:
    """Only made-up texts and dates have a space."""
    replies = json.loads(EXAMPLE_REPLIES.read_text("utf-8"))
    texts = {text for _, text in values(replies) if isinstance(text, str) and " " in text}
    assert texts
    assert {text for text in texts if not re.match(r"text \d{4}|\w{3}, \d\d \w{3} 2026 ", text)} == set()
