"""The audit looks at what is pinned, fails on what is known, and has an answer without a network."""

from __future__ import annotations

from tests.dist.advisories import KNOWN
from tests.dist.audit import direct, pinned, remembered
from tests.dist.build import ROOT

PINS = """\
# made by make lock
aiohttp==3.13.0
pyarrow==13.0.0 ; python_full_version < '3.11'
pyarrow==26.0.1 ; python_full_version >= '3.11'
Python_Liquid==2.3.6
"""


def test_every_pin_is_read() -> None:
    assert pinned(PINS) == {
        "aiohttp": {"3.13.0"},
        "pyarrow": {"13.0.0", "26.0.1"},
        "python-liquid": {"2.3.6"},
    }


def test_what_is_too_old_is_found_by_the_list() -> None:
    found = list(remembered(pinned(PINS)))
    assert {package for package, _ in found} == {"aiohttp", "pyarrow"}
    assert (
        "pyarrow",
        "pyarrow 13.0.0: CVE-2023-47248, runs code from Parquet and IPC files; fixed in 14.0.1",
    ) in found


def test_everything_we_depend_on_is_pinned_and_not_known_to_be_vulnerable() -> None:
    releases = pinned((ROOT / "constraints.txt").read_text())
    assert {"apache-airflow", "requests", "aiohttp", "starlette"} <= direct() <= set(releases)
    assert list(remembered(releases)) == []


def test_the_list_is_of_what_we_depend_on() -> None:
    assert {known.package for known in KNOWN} <= direct()
