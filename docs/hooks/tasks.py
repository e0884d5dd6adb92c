"""Pages of the reference about operators, sensors, transfers and triggers, a family a page.

Arguments that many classes share are described once, on the page ``arguments.md``; other entries link them.
"""

from __future__ import annotations

import inspect
import re
from collections import Counter
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from airflow_provider_twilio_comms.operators.bulk_messages import TwilioBulkMessageOperator
from airflow_provider_twilio_comms.operators.send_message import TwilioSendMessageOperator
from docs.hooks.docstrings import markdown
from docs.hooks.examples import import_line
from docs.hooks.found import arguments, classes, functions, template_fields

__all__ = ["FAMILIES", "all_operators", "family", "imported", "page", "shared_arguments"]

TASKS = "Every task also takes Airflow's own arguments (`retries`, `outlets`, `trigger_rule` ...)."
ENOUGH = 3  # classes with the same argument make it a shared one

# The pages of operators: path below ``reference``, title, what they have in common, and modules.
# The last one has every module that no other names.
FAMILIES: dict[str, tuple[str, str, tuple[str, ...]]] = {
    "operators-sending": (
        "Operators: sending",
        "Send to a list, to one person or a few, once more to those for whom it failed, or only count.",
        ("bulk_messages", "send_message", "send_each", "preflight", "resend_failed"),
    ),
    "operators-messages": (
        "Operators: messages and receipts",
        "Read what became of messages, and list, cancel, redact or delete them and their media.",
        ("receipts", "campaign_report", "messages", "media"),
    ),
    "operators-account": (
        "Operators: numbers, services, senders, templates",
        "Declare what an account has. Each finds what is there before it creates anything, so a retry does "
        "nothing twice.",
        ("numbers", "messaging_services", "sender_pools", "content_templates", "event_streams"),
    ),
    "operators-people": (
        "Operators: cohorts of stored people",
        "Groups of stored profiles, as [Stored people and groups](../people.md) explains.",
        ("cohorts",),
    ),
    "operators-other": (
        "Operators: approval, opt-outs, prices, any request",
        "Ask somebody by text, keep who refused messages, fetch what Twilio publishes, and make a "
        "request that has no operator.",
        ("approval", "opt_outs", "deactivations", "prices", "api_request"),
    ),
}


class Row(NamedTuple):
    """An argument of a class, as it is shown."""

    name: str
    kind: str
    default: str
    meaning: str


@cache
def rows(cls: type[Any]) -> tuple[Row, ...]:
    """List the arguments of a class."""
    return tuple(Row(*each) for each in arguments(cls))


@cache
def _same(cls: type[Any]) -> frozenset[tuple[str, str]]:
    """Collect name and meaning of each argument of a class: equal ones are the same argument."""
    return frozenset((row.name, row.meaning) for row in rows(cls))


@cache
def _of_sends() -> frozenset[tuple[str, str]]:
    return _same(TwilioBulkMessageOperator) & _same(TwilioSendMessageOperator)


@cache
def _of_tasks() -> frozenset[tuple[str, str]]:
    """Collect the arguments of several classes that are not only for sends."""
    found = [each for kind in ("operators", "sensors", "transfers", "triggers") for each in classes(kind)]
    others = [each for each in found if not issubclass(each, TwilioBulkMessageOperator)]
    optional = [row for each in others for row in rows(each) if row.default != "required"]
    counts = Counter((row.name, row.meaning) for row in optional)
    return frozenset(same for same, count in counts.items() if count >= ENOUGH)


def _home(cls: type[Any], row: Row) -> str:
    """The page and anchor that describe an argument, below ``reference``; empty for its own entry."""
    same = (row.name, row.meaning)
    if same in _of_tasks():
        return f"arguments.md#task-{row.name}"
    if same in _of_sends():
        return f"arguments.md#send-{row.name}"
    if cls is not TwilioBulkMessageOperator and issubclass(cls, TwilioBulkMessageOperator):
        return f"operators-sending.md#bulk-{row.name}" if same in _same(TwilioBulkMessageOperator) else ""
    return ""


def family(path: str) -> Callable[[], str]:
    """The maker of the page of a family of operators."""
    title, intro, modules = FAMILIES[path]
    named = {each for _, _, those in FAMILIES.values() for each in those}

    def belongs(each: Any) -> bool:
        module = each.__module__.rpartition(".")[2]
        return module in modules or (path == list(FAMILIES)[-1] and module not in named)

    def made() -> str:
        found = [each for each in (*classes("operators"), *functions("operators")) if belongs(each)]
        order = {name: place for place, name in enumerate(modules)}
        found.sort(key=lambda each: order.get(each.__module__.rpartition(".")[2], len(order)))
        return f"# {title}\n\n{intro} {TASKS}\n\n" + _summary(found) + _entries(found)

    return made


def page(title: str, intro: str, kind: str) -> Callable[[], str]:
    """The maker of the page of a kind of class, such as sensors."""

    def made() -> str:
        found = [*classes(kind), *functions(kind)]
        return f"# {title}\n\n{intro}\n\n{_summary(found)}" + _entries(found)

    return made


def all_operators() -> str:
    """The page that lists every operator, by family."""
    parts = [f"# Operators\n\n{TASKS} [Arguments that tasks share](arguments.md) are described once.\n"]
    for path, (title, intro, _) in FAMILIES.items():
        _, _, table = family(path)().partition(f"{TASKS}\n\n")
        summary = table.partition("\n\n")[0]
        name = title.partition(": ")[2].capitalize()
        if not summary.startswith("|"):  # a page of one entry has no summary
            (only,) = re.findall(r"^::: (\S+)$", table, re.M)
            cls = next(each for each in classes("operators") if only.endswith(f".{each.__name__}"))
            summary = _summary([cls, cls]).rstrip().rpartition("\n")[0]
        parts.append(f"## [{name}]({path}.md)\n\n{intro}\n\n{summary}\n")
    return "\n".join(parts)


def _summary(found: list[Any]) -> str:
    """A table of classes and functions with the first sentence of each, if there are several."""
    lines = [f"| [`{each.__name__}`][{each.__module__}.{each.__name__}] | {_first(each)} |" for each in found]
    return "| name | purpose |\n|---|---|\n" + "\n".join(lines) + "\n\n" if len(lines) > 1 else ""


def _first(named: Any) -> str:
    """The first sentence of a docstring."""
    text = markdown(inspect.getdoc(named) or "")
    return re.split(r"(?<=\.)\s|\n\n|:\n", text, maxsplit=1)[0].replace("\n", " ")


def _entries(found: list[Any]) -> str:
    return "\n".join(_class(each) if isinstance(each, type) else _function(each) for each in found)


def imported(named: Any) -> str:
    """A block with the import of a class or function."""
    return f"```python\n{import_line(named.__module__, named.__name__)}\n```\n"


def _function(named: Any) -> str:
    # Airflow registers decorators, so nobody imports them.
    lead = "" if ".decorators." in named.__module__ else f"\n{imported(named)}"
    return f"::: {named.__module__}.{named.__name__}\n{lead}"


def _class(cls: type[Any]) -> str:
    parts = [f"::: {cls.__module__}.{cls.__name__}\n    options:\n      members: []\n", imported(cls)]
    prefix = "bulk-" if cls is TwilioBulkMessageOperator else ""
    if own := [row for row in rows(cls) if not _home(cls, row)]:
        parts.append(_table(own, prefix))
    parts += _elsewhere(cls)
    if fields := template_fields(cls):
        parts.append(f"Template fields: {', '.join(f'`{name}`' for name in fields)}.\n")
    return "\n".join(parts)


def _table(own: list[Row], prefix: str = "") -> str:
    def line(row: Row) -> str:
        anchor = f"{{ #{prefix}{row.name} }}" if prefix else ""
        return f"| `{row.name}`{anchor} | `{row.kind}` | {row.default} | {row.meaning} |"

    return "| argument | type | default | meaning |\n|---|---|---|---|\n" + "\n".join(map(line, own)) + "\n"


def _elsewhere(cls: type[Any]) -> Iterator[str]:
    """A sentence for each place that describes more arguments of a class."""
    homes = {row: _home(cls, row) for row in rows(cls)}
    for start, lead in (
        (
            "operators-sending.md#bulk-",
            f"As [`{TwilioBulkMessageOperator.__name__}`]"
            f"[{TwilioBulkMessageOperator.__module__}.{TwilioBulkMessageOperator.__name__}]",
        ),
        ("arguments.md#send-", "As [every task that sends](arguments.md#every-task-that-sends)"),
        ("arguments.md#task-", "As [other tasks](arguments.md#every-task)"),
    ):
        linked = [
            f"[`{row.name}`]({home}){_other(row, home)}"
            for row, home in homes.items()
            if home.startswith(start)
        ]
        if linked:
            yield f"{lead}: {', '.join(linked)}.\n"


def _other(row: Row, home: str) -> str:
    """The default, where it is not the one that the shared description gives."""
    where = home.partition("#")[2].partition("-")[0]
    there = rows(TwilioBulkMessageOperator) if where == "bulk" else _shared(where)
    (usual,) = [each.default for each in there if each.name == row.name]
    return "" if row.default == usual else f" ({row.default})"


@cache
def _shared(where: str) -> tuple[Row, ...]:
    """List the shared arguments of sends or of all tasks, each once."""
    found: dict[str, Row] = {}
    for kind in ("operators", "sensors", "transfers", "triggers"):
        for cls in sorted(classes(kind), key=lambda each: each is not TwilioBulkMessageOperator):
            for row in rows(cls):
                if _home(cls, row) == f"arguments.md#{where}-{row.name}":
                    found.setdefault(row.name, row)
    return tuple(found.values())


def shared_arguments() -> str:
    """The page of the arguments that tasks share."""
    text = (Path(__file__).parent / "arguments.md").read_text()
    for where in ("send", "task"):
        text = text.replace(f"<!-- {where} -->", _table(list(_shared(where)), f"{where}-"))
    return text
