"""The README is short and points to what there is; what it shows is run in ``tests/docs``."""

from __future__ import annotations

import re
from pathlib import Path

from airflow_provider_twilio_comms.provider_info import get_provider_info

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()


def test_it_points_to_every_page_of_the_documentation() -> None:
    pages = {f"docs/{path.name}" for path in (ROOT / "docs").glob("*.md")} - {"docs/index.md"}
    assert pages == {link.partition("#")[0] for link in re.findall(r"\]\((docs/[^)]+)\)", README)}


def test_it_stays_short() -> None:
    assert len(README.splitlines()) < 160


def test_the_table_of_the_connection_holds_every_field() -> None:
    (connection,) = get_provider_info()["connection-types"]
    section = (ROOT / "docs" / "connection.md").read_text().split("## Fields")[1].split("\n## ")[0]
    assert set(re.findall(r"`([a-z_]+)`", section)) >= set(connection["conn-fields"])
