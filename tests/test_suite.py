"""Every test is run by one of the words of the Makefile, and by one only."""

from __future__ import annotations

import importlib
import re

import pytest
from _pytest.mark.expression import Expression

from tests.conftest import ROOT, VERIFIED
from tests.forked import IMPORTED

MAKEFILE = (ROOT / "Makefile").read_text()
WORDS = ("test", "verify", "e2e")


def chosen(word: str, markers: set[str]) -> bool:
    """Tell if this word of the Makefile runs a test with these markers."""
    recipe = re.search(rf"^{word}:.*\n((?:\t.*\n)+)", MAKEFILE, re.M)
    assert recipe
    expression = re.search(r'-m (\w+|"[^"]+")(?= |$)', recipe[1].replace("-m pytest", ""))
    assert expression
    return Expression.compile(expression[1].strip('"')).evaluate(lambda name, **_: name in markers)


def test_every_marker_is_known() -> None:
    listed = (ROOT / "pyproject.toml").read_text().partition("markers = [")[2].partition("\n]")[0]
    assert set(re.findall(r'^    "(\w+): ', listed, re.M)) == VERIFIED | {"process"}


@pytest.mark.parametrize("marker", ["process", *sorted(VERIFIED - {"long"})])
def test_either_make_test_or_make_verify_runs_it(marker: str) -> None:
    runs = {word for word in ("test", "verify") if chosen(word, {marker})}
    assert runs == {"test" if marker == "process" else "verify"}


def test_what_takes_minutes_is_left_to_make_e2e() -> None:
    assert {word for word in WORDS if chosen(word, {"stack", "e2e", "long"})} == {"e2e"}


def test_a_test_without_a_marker_runs_in_this_process(request: pytest.FixtureRequest) -> None:
    assert request.node.get_closest_marker("process")


def test_what_is_imported_before_forking_exists() -> None:
    for name in IMPORTED:
        assert importlib.import_module(name)
