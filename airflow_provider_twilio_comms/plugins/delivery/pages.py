"""Helpers for the templates of the delivery view: pages of long lists, words and links. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

from airflow_provider_twilio_comms._core.wording import pluralize
from airflow_provider_twilio_comms.plugins.delivery import charts
from airflow_provider_twilio_comms.plugins.delivery.overview import counters_of
from airflow_provider_twilio_comms.plugins.delivery.sends import PHASES, Answer, Key, Send

if TYPE_CHECKING:
    from jinja2 import Environment

__all__ = ["WHY", "Slice", "environment", "of_airflow", "of_ours", "words"]

SIZE = 50
ANSWERED: dict[Answer, str] = {
    "text": "answered by text",
    "airflow": "answered in Airflow",
    "default": "default taken",
}
WHY = {
    401: "Sign in to Airflow, then open this page again.",
    403: "Your role may not read task instances and XComs of this DAG.",
    404: "There is no such page.",
}


@dataclass(frozen=True)
class Slice:
    """A page of a list: ``page`` counts from 1, ``first`` and ``last`` from 1 too."""

    items: Sequence[Any]
    page: int
    pages: int
    first: int
    last: int
    total: int

    @classmethod
    def of(cls, every: Sequence[Any], page: int, size: int = SIZE) -> Slice:
        """Cut out the requested page, or the nearest that exists."""
        pages = max(1, -(-len(every) // size))
        page = min(max(page, 1), pages)
        items = every[(page - 1) * size : page * size]
        first = (page - 1) * size + 1 if items else 0
        return cls(items, page, pages, first, first + len(items) - 1 if items else 0, len(every))


def environment(folder: Path) -> Environment:
    """Set up templates, which escape every value."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    made = Environment(
        autoescape=True,
        loader=FileSystemLoader(folder),
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
    )
    made.globals.update(
        counters_of=counters_of,
        words=words,
        bar=charts.bar,
        told=charts.told,
        stamp=charts.stamp,
        of_airflow=of_airflow,
        of_ours=of_ours,
        phases=PHASES,
    )
    made.filters.update(count="{:,}".format, query=urlencode)
    return made


def words(send: Send) -> str:
    """Describe a task in a few words."""
    if send.kind == "nothing":
        return "sent nothing"
    if send.kind == "wait":
        return "waits for others' sends"
    noun = "message" if send.kind == "messages" else "operation"
    number = len(send.ids) or (send.recipients if send.kind == "messages" else 0)
    count = pluralize(number, noun)
    if send.phase == "sending" and send.planned and not any(part.batch for part in send.parts):
        return f"{count} of {send.planned:,}"
    return f"{count}, {ANSWERED[send.answer]}" if send.answer else count


def of_airflow(key: Key) -> str:
    """Link to the task instance's own page in Airflow's UI, below its root."""
    dag, run, task = (quote(part, safe="") for part in key[:3])
    mapped = f"/mapped/{key.map_index}" if key.map_index >= 0 else ""
    return f"/dags/{dag}/runs/{run}/tasks/{task}{mapped}"


def of_ours(key: Key) -> str:
    """Link to the task instance's page in this view, relative to the overview."""
    return f"task?{urlencode(key._asdict())}"
