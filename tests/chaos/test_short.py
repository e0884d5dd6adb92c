"""The short form of ``make chaos``, as part of the suite."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

pytestmark = pytest.mark.stack

VERDICT = re.compile(r"^chaos: runs=22 duplicates=0 lost=0 wrong_colour=0 uncertain=\d+$", re.MULTILINE)


def test_nobody_is_texted_twice_nobody_is_lost_and_no_colour_is_wrong() -> None:
    command = [sys.executable, "-m", "tests.chaos", "--short", "--seed", "4"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=900)
    assert done.returncode == 0, done.stdout + done.stderr
    assert VERDICT.search(done.stdout), done.stdout
