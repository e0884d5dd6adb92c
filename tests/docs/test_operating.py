"""Metrics, log lines and numbers in the documentation exist in the code."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache

import pytest

from airflow_provider_twilio_comms import exceptions
from airflow_provider_twilio_comms._core import approvals
from airflow_provider_twilio_comms._core.planning import plan
from airflow_provider_twilio_comms._core.sending import ledger, send_once
from airflow_provider_twilio_comms._core.waiting import base
from airflow_provider_twilio_comms._tasks.operator import INITIAL_DELAY
from airflow_provider_twilio_comms.hooks._metrics import METRICS, TAGS
from airflow_provider_twilio_comms.triggers import _connection, _poller, inbound
from tests.docs.blocks import PAGES, ROOT

PACKAGE = ROOT / "airflow_provider_twilio_comms"
OPERATING = (ROOT / "docs" / "operating.md").read_text()
SECTION = OPERATING.split("## Log lines")[1].split("\n## ")[0]
LINES = re.findall(r"^\| `(.+?)` \| (?:info|warning|error) \|", SECTION, re.M)
ENOUGH = 10  # characters that tell a log line from any other


@cache
def texts() -> frozenset[str]:
    """Collect every text in the package's source."""
    return frozenset(_texts())


def _texts() -> Iterator[str]:
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield node.value


def said(text: str, line: str) -> bool:
    """Tell if a text of the source contains a log line, or is it with its ``%s`` filled in."""
    literal = re.sub(r"%[-.\d]*[sdf]", "", text)
    if line in text:
        return True
    pattern = ".+".join(map(re.escape, re.split(r"%[-.\d]*[sdf]", text)))
    return len(literal.strip()) > ENOUGH and re.search(pattern, line) is not None


@pytest.mark.parametrize("line", LINES)
def test_a_log_line_is_in_the_source(line: str) -> None:
    assert line in exceptions.__all__ or any(said(text, line) for text in texts())


def test_log_lines_are_looked_at() -> None:
    assert len(LINES) > 12
    assert not any(said(text, "nothing of the kind is ever logged here") for text in texts())


def test_metrics_and_their_tags_exist() -> None:
    named = set(re.findall(r"`(twilio\.[a-z_.]+[a-z])`", OPERATING))
    assert named
    assert named <= set(METRICS)
    for name, when in re.findall(r"^\| `(twilio\.\w+\.\w+)` \| (.*?) \|", OPERATING, re.M):
        assert {each for each in re.findall(r"`(\w+)`", when) if each in TAGS} <= set(METRICS[name].tags)


@pytest.mark.parametrize(
    ("page", "words", "number"),
    [
        ("waiting.md", "nothing but failures has come for ten minutes", base.FLAKY == 600),
        ("waiting.md", "after a minute if the error is one of configuration", base.HOPELESS == 60),
        ("waiting.md", "at least three polls in a row", base.LEAST == 3),
        ("waiting.md", "and every five minutes", _connection.REREAD == 300),
        ("waiting.md", "may answer 404 for a minute", base.GRACE == 60),
        ("waiting.md", "up to five things are asked for one by one", _poller.FEW == 5),
        ("waiting.md", "stretches to twice its length", _poller.SLOWEST == 2),
        ("waiting.md", "tells nothing in the first ten seconds", INITIAL_DELAY == 10),
        ("sending-once.md", "tried again for two minutes", ledger.PATIENCE == 120),
        ("sending-once.md", "up to 90 seconds", send_once.LAG == 90),
        ("operating.md", "above 8 MB", plan.IN_MEMORY == 8_000_000),
        ("replies.md", "up to ten minutes late", inbound.LAG == 600),
        ("replies.md", "After 20 wrong codes", approvals.MOST_WRONG == 20),
    ],
)
def test_a_number_in_words_is_the_one_in_the_code(page: str, words: str, number: bool) -> None:
    text = " ".join((ROOT / "docs" / page).read_text().split())
    assert words in text
    assert number


def test_no_argument_is_named_that_no_operator_has() -> None:
    """A table whose first column is headed ``argument`` lists arguments that exist."""
    source = "".join(path.read_text() for path in PACKAGE.rglob("*.py"))
    named = set()
    for path in PAGES:
        for table in re.findall(r"^\| argument \|.*\n(?:\|.*\n)+", path.read_text(), re.M):
            named |= set(re.findall(r"^\| `(\w+)` \|", table, re.M))
    assert len(named) > 15
    assert {name for name in named if not re.search(rf"^        {name}: ", source, re.M)} == set()
