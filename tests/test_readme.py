"""The README is short and points to what there is; what it shows is run in ``tests/docs``."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

from airflow_provider_twilio_comms.provider_info import get_provider_info

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()


def test_it_points_to_every_page_of_the_documentation() -> None:
    pages = {f"docs/{path.name}" for path in (ROOT / "docs").glob("*.md")} - {"docs/index.md"}
    assert pages == {link.partition("#")[0] for link in re.findall(r"\]\((docs/[^)]+\.md[^)]*)\)", README)}


def test_it_stays_short_but_for_its_tables() -> None:
    assert len([line for line in README.splitlines() if not line.startswith("|")]) < 110


def test_it_lists_every_class_once_with_its_page() -> None:
    info = get_provider_info()
    kinds = ("operators", "sensors", "triggers")
    modules = [name for kind in kinds for entry in info[kind] for name in entry["python-modules"]]
    modules += [entry["python-module"] for entry in info["transfers"]]
    named = [path.rpartition(".")[2] for path in info["notifications"]]
    named += [entry["class-name"].rpartition(".")[2] for entry in info["task-decorators"]]
    for module in modules:
        names = importlib.import_module(module).__all__
        named += [name for name in names if "Twilio" in name or name == "send_each"]
    table = README.partition("## What is in the box")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| \w+ \| `(\w+)` \| \S.* \| \[.+\]\(docs/[\w-]+\.md[#\w-]*\) \|$", table, re.M)
    assert sorted(rows) == sorted(named)


def test_the_table_of_the_connection_holds_every_field() -> None:
    (connection,) = get_provider_info()["connection-types"]
    section = (ROOT / "docs" / "connection.md").read_text().split("## Fields")[1].split("\n## ")[0]
    assert set(re.findall(r"`([a-z_]+)`", section)) >= set(connection["conn-fields"])
