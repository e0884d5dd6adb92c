"""Figures of the benchmarks are stated once, from the file that ``make bench`` writes."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from docs.hooks.figures import FIGURES, MEANINGS, keep, page
from tests.docs.blocks import PAGES

KEPT = json.loads(FIGURES.read_text())


def test_every_figure_that_is_kept_has_a_row() -> None:
    assert set(KEPT) == set(MEANINGS)
    rows = re.findall(r"^\| .* \| (\S+) [\w ]+ \| .* \| `make bench ARGS=(\w+)` \| ", page(), re.M)
    assert [figure for figure, _ in rows] == [f"{KEPT[name]['value']:,}" for name in MEANINGS]
    assert {command for _, command in rows} <= set(re.findall(r"^    \"(\w+)\": ", _bench(), re.M))


def _bench() -> str:
    return (Path(__file__).parents[1] / "bench" / "__main__.py").read_text()


@pytest.mark.parametrize("name", MEANINGS)
def test_no_other_page_states_a_figure(name: str) -> None:
    stated = rf"(?<![\d.,]){re.escape(format(KEPT[name]['value'], ','))} {MEANINGS[name].unit}"
    for path in PAGES:
        text = path.read_text()
        assert not re.search(stated, text), path.name
        assert not re.search(r"\d (?:[KM]iB\b|requests? a round|times as (?:long|fast))", text), path.name


def test_what_was_not_measured_now_stays(tmp_path: Path) -> None:
    path = tmp_path / "figures.json"
    keep({"bulk_cpu_ratio": 1.5, "bulk_peak_mib": 8.0, "not_shown": 1.0}, "3.11, 2 cores", path)
    keep({"bulk_cpu_ratio": 1.4}, "3.12, 4 cores", path)
    kept = json.loads(path.read_text())
    assert set(kept) == {"bulk_cpu_ratio", "bulk_peak_mib"}
    assert (kept["bulk_cpu_ratio"]["value"], kept["bulk_cpu_ratio"]["machine"]) == (
        1.4,
        "Python 3.12, 4 cores",
    )
    assert (kept["bulk_peak_mib"]["value"], kept["bulk_peak_mib"]["machine"]) == (8.0, "Python 3.11, 2 cores")
