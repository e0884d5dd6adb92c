"""The matrix finds the Pythons that are here, reads what pytest says, and leaves out what needs more."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.dist.matrix import Cell, interpreter, summary, table

HERE = f"{sys.version_info.major}.{sys.version_info.minor}"


def test_the_python_that_runs_this_is_found() -> None:
    assert interpreter(HERE) is not None


def test_a_python_that_is_not_there_is_none() -> None:
    assert interpreter("3.99") is None


def test_a_program_that_only_bears_the_name_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shim = tmp_path / "python3.99"
    shim.write_text("#!/bin/sh\necho no such version; exit 127\n")
    shim.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert interpreter("3.99") is None


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("==== 12 passed, 1 skipped in 3.41s ====", "12 passed, 1 skipped in 3.41s"),
        ("1 failed, 411 passed in 40.08s", "1 failed, 411 passed in 40.08s"),
        ("= 9 passed, 3 deselected in 61.20s (0:01:01) =", "9 passed, 3 deselected in 61.20s"),
        ("6 deselected, 1 error in 15.44s", "6 deselected, 1 error in 15.44s"),
        ("ERROR: found no such file", ""),
    ],
)
def test_what_pytest_said_is_read(line: str, said: str) -> None:
    assert summary(f"collected 12 items\n\n{line}\n") == said


def test_the_table_has_a_line_for_each_pair() -> None:
    cells = [
        Cell("3.2", "3.10", "12 passed in 3.4s", good=True),
        Cell("3.2", "3.11", "1 failed in 3.4s"),
        Cell("3.2", "3.12", "skipped: no Python 3.12 here", ran=False),
    ]
    assert table(cells).splitlines()[1:] == [
        "3.2      3.10    passed  12 passed in 3.4s",
        "3.2      3.11    FAILED  1 failed in 3.4s",
        "3.2      3.12            skipped: no Python 3.12 here",
    ]
