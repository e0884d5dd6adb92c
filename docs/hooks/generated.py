"""The reference as Markdown, made from the code: what exists is there, and nothing else."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import re
import textwrap
from collections.abc import Callable, Iterator
from datetime import timedelta
from functools import cache
from typing import Any, NamedTuple

from airflow_provider_twilio_comms import exceptions
from airflow_provider_twilio_comms.api import codes
from airflow_provider_twilio_comms.provider_info import get_provider_info
from docs.hooks.docstrings import described
from docs.hooks.reach import NAME, reached

__all__ = ["KINDS", "PAGES", "arguments", "calls", "classes", "template_fields"]

API = f"{NAME}.api"
# Folder of the package -> what of it is for use, besides what the provider's description lists.
KINDS = ("operators", "sensors", "transfers", "triggers", "notifications", "decorators", "hooks")
_PLURAL = {"operators": "Operator", "sensors": "Sensor", "transfers": "Operator", "triggers": "Trigger"}
_SUFFIX = {**_PLURAL, "notifications": "Notifier", "hooks": "Hook", "decorators": "task"}
# Arguments that are for tests more than for people, and so are not in the docstrings.
_MORE = {
    "initial_delay": "seconds after the deferral before which the trigger says nothing, since Airflow 3.3 "
    "can fail a task that resumes sooner with LocalExecutor",
    "poke_interval": "seconds between two looks (Airflow's own)",
    "twilio_conn_id": "the connection, of type ``twilio``",
}

# What a class asks of its base otherwise than its base asks for it: another default, or no argument at all.
_DIFFERS = {
    ("ObjectStorageToTwilioOperator", "recipients"): None,
    ("SqlToTwilioOperator", "recipients"): None,
    ("SqlToTwilioOperator", "on_empty"): "skip",
    ("TwilioPreflightOperator", "on_backfill"): "dry_run",
    ("TwilioResendFailedOperator", "on_duplicate"): "first",
    ("TwilioResendFailedOperator", "on_empty"): "skip",
}


class Call(NamedTuple):
    """A function that describes a request: module and name below ``api``, request, Twilio's page."""

    name: str
    request: str
    page: str


@cache
def modules(folder: str) -> tuple[str, ...]:
    """The dotted names of a folder's modules."""
    package = importlib.import_module(f"{NAME}.{folder}")
    found = pkgutil.walk_packages(package.__path__, f"{package.__name__}.")
    return tuple(sorted(each.name for each in found if not each.ispkg))


@cache
def classes(kind: str) -> tuple[type[Any], ...]:
    """The classes of a kind that are for use: not those that only others derive from."""
    found = []
    for name in modules(kind):
        module = importlib.import_module(name)
        public = (getattr(module, each) for each in getattr(module, "__all__", ()))
        found += [each for each in public if isinstance(each, type) and each.__module__ == name]
    bases = {base for each in found for base in each.__mro__[1:]}
    listed = _listed()
    ours = [each for each in found if each.__name__.endswith(_SUFFIX[kind])]
    return tuple(each for each in ours if each not in bases or each.__module__ in listed)


def _listed() -> set[str]:
    info = get_provider_info()
    return {module for kind in KINDS for entry in info.get(kind, ()) for module in _modules_of(entry)}


def _modules_of(entry: Any) -> list[str]:
    if isinstance(entry, str):
        return [entry.rpartition(".")[0]]
    return list(entry.get("python-modules") or [entry["python-module"]])


def functions(kind: str) -> list[Callable[..., Any]]:
    """The functions that a DAG file may call: ``send_each`` and the decorators."""
    found = []
    for name in modules(kind):
        module = importlib.import_module(name)
        public = (getattr(module, each) for each in getattr(module, "__all__", ()))
        found += [
            each for each in public if inspect.isfunction(each) and ".. code-block" in (each.__doc__ or "")
        ]
    return found


def arguments(cls: type[Any]) -> Iterator[tuple[str, str, str, str]]:
    """Name, type, default and meaning of each argument, its bases' in this package included."""
    seen: set[str] = set()
    said: dict[str, str] = dict(_MORE)
    for base in reversed(cls.__mro__):
        if base.__module__.startswith(NAME):
            said |= described(inspect.cleandoc(base.__doc__ or ""))
    for base in cls.__mro__:
        if not base.__module__.startswith(NAME) or "__init__" not in vars(base):
            continue
        for name, each in inspect.signature(vars(base)["__init__"]).parameters.items():
            if name in seen or name == "self" or each.kind is each.VAR_KEYWORD:
                continue
            seen.add(name)
            default = _DIFFERS.get((cls.__name__, name), each.default)
            if default is not None or each.default is None:
                yield name, str(each.annotation), _default(default), said.get(name, "")


def _default(value: Any) -> str:
    if value is inspect.Parameter.empty:
        return "required"
    return f"`{value}`" if isinstance(value, timedelta) else f"`{value!r}`"


def template_fields(cls: type[Any]) -> list[str]:
    """The arguments in which Jinja is rendered, in the order of their names."""
    return sorted(set(getattr(cls, "template_fields", ())))


def _class(cls: type[Any]) -> str:
    path = f"{cls.__module__}.{cls.__name__}"
    parts = [f"::: {path}\n    options:\n      members: []\n"]
    rows = [
        f"| `{name}` | `{kind}` | {default} | {meaning} |" for name, kind, default, meaning in arguments(cls)
    ]
    if rows:
        parts.append(
            "| argument | type | default | what it is |\n|---|---|---|---|\n" + "\n".join(rows) + "\n"
        )
    fields = template_fields(cls)
    if fields:
        parts.append(f"Template fields: {', '.join(f'`{name}`' for name in fields)}.\n")
    return "\n".join(parts)


def _page(title: str, intro: str, kind: str) -> Callable[[], str]:
    def made() -> str:
        sections = [_class(each) for each in classes(kind)]
        sections += [f"::: {each.__module__}.{each.__name__}\n" for each in functions(kind)]
        return f"# {title}\n\n{intro}\n\n" + "\n".join(sections)

    return made


@cache
def calls() -> tuple[Call, ...]:
    """Every function of ``api`` that describes a request, sorted by name."""
    found = []
    for path in modules("api"):
        module = importlib.import_module(path)
        for name in getattr(module, "__all__", ()):
            function = getattr(module, name)
            text = function.__doc__ or "" if inspect.isfunction(function) else ""
            request = re.search(r"``((?:GET|POST|PUT|PATCH|DELETE) \S+)``", text)
            if request:
                page = re.search(r"https://\S*\w", f"{text} {module.__doc__} {inspect.getsource(module)}")
                assert page, f"{path}.{name} names no page of Twilio's"
                found.append(Call(f"{path.removeprefix(f'{API}.')}.{name}", request[1], page[0]))
    return tuple(sorted(found))


def _coverage() -> str:
    makers: dict[str, list[str]] = {}
    for kind in ("operators", "sensors", "transfers", "notifications"):
        for cls in classes(kind):
            link = f"[`{cls.__name__}`][{cls.__module__}.{cls.__name__}]"
            for module, name in reached((cls.__module__, cls.__name__)):
                makers.setdefault(f"{module.removeprefix(f'{API}.')}.{name}", []).append(link)
    other = f"[`TwilioCallOperator`][{NAME}.operators.call.TwilioCallOperator]"
    rows = []
    for call in calls():
        fallback = "the client itself" if call.name.startswith("oauth.") else other
        by = ", ".join(sorted(makers.get(call.name, []))) or fallback
        name = f"[`{call.name}`][{API}.{call.name}]"
        short = call.request.replace("/2010-04-01/Accounts/{AccountSid}/", ".../")
        page = f"[{call.page.partition('#')[0].rstrip('/').rpartition('/')[2]}]({call.page})"
        rows.append(f"| `{short}` | {name} | {by} | {page} |")
    return _COVERAGE + "\n".join(rows) + "\n"


_COVERAGE = """# Twilio's API, and who calls it

Every request that this package can make: Twilio's endpoint, the call that describes it, and the tasks whose
code leads to that call, read from the source. A task need not make all of them in a run: prices are read for
`max_cost` only, lists of messages to find what a dead try has sent, and a preflight prepares a send's request
and makes none. Where no task of its own exists, `TwilioCallOperator` makes the call by its name. `...` is
`/2010-04-01/Accounts/{AccountSid}`.

| request | call | tasks | Twilio |
|---|---|---|---|
"""


def _calls(title: str, *wanted: str) -> Callable[[], str]:
    def made() -> str:
        names = sorted({call.name.rpartition(".")[0] for call in calls()})
        chosen = [name for name in names if name.partition(".")[0] in wanted]
        sections = [f"::: {API}.{name}\n    options:\n      show_root_full_path: true\n" for name in chosen]
        return f"# {title}\n\n{_CALLS}\n\n" + "\n".join(sections)

    return made


_CALLS = """A call is a value: the request, decided but not sent, and how to read its reply. A hook makes it:
`TwilioHook().run(call)` in a worker, `await hook.arun(call)` on an event loop. `TwilioCallOperator` makes it
in a task, by its name below `airflow_provider_twilio_comms.api`."""


def _connection() -> str:
    (connection,) = get_provider_info()["connection-types"]
    fields = [
        f"| `{name}` | {field['schema']['type'][0]} | {field['description']} |"
        for name, field in connection["conn-fields"].items()
    ]
    options = [
        f"| `{name}` | {option['type']} | {_option(option['default'])} | {option['description']} |"
        for section in get_provider_info()["config"].values()
        for name, option in section["options"].items()
    ]
    return (
        "# Connection fields and configuration\n\n"
        f"## Extra fields of a connection of type `{connection['connection-type']}`\n\n"
        "| field | type | what it does |\n|---|---|---|\n" + "\n".join(fields) + "\n\n"
        "## Section `[twilio]` of Airflow's configuration\n\n"
        "Each can be set in the environment too, as `AIRFLOW__TWILIO__WEBHOOK_ENABLED` and so on.\n\n"
        "| option | type | default | what it does |\n|---|---|---|---|\n" + "\n".join(options) + "\n"
    )


def _option(default: Any) -> str:
    return "" if default is None else f"`{default}`"


def _errors() -> str:
    kinds = [each for each in exceptions.__all__ if isinstance(getattr(exceptions, each), type)]
    sections = [f"::: {NAME}.exceptions.{each}\n    options:\n      members: []\n" for each in kinds]
    rows = [
        f"| {code} | {known.verdict.value} | {known.meaning} |"
        for code, known in sorted(codes._CODES.items())
    ]
    tree = re.search(r"^    TwilioError\n(?:    .*\n)+", exceptions.__doc__ or "", re.M)
    assert tree
    verdicts = [f"| `{each.value}` | {_VERDICTS[each.value]} |" for each in codes.Verdict]
    return (
        "# Errors and codes\n\nEverything that can go wrong is a `TwilioError`:\n\n"
        f"```text\n{textwrap.dedent(tree[0]).rstrip()}\n```\n\n" + "\n".join(sections) + "\n"
        "## Verdicts\n\n| verdict | what it means |\n|---|---|\n" + "\n".join(verdicts) + "\n\n"
        "A code that is not listed below is judged by its HTTP status: 429 is `retry`, any other 4xx "
        "`configuration`, and everything else `unknown`.\n\n"
        "## Codes that are known\n\n| code | verdict | meaning |\n|---|---|---|\n" + "\n".join(rows) + "\n"
    )


_VERDICTS = {
    "retry": "It may work later, as it is.",
    "recipient": "This recipient cannot be reached; nothing here is wrong.",
    "opt-out": "This recipient refused; never try again.",
    "configuration": "Account, sender or request must be changed first.",
    "unknown": "Nobody can tell, possibly not even whether it was sent.",
}

_TASKS = "Every task takes Airflow's own arguments too (`retries`, `outlets`, `trigger_rule` ...)."

# Path below docs -> what makes it.
PAGES: dict[str, Callable[[], str]] = {
    "reference/operators.md": _page("Operators", _TASKS, "operators"),
    "reference/sensors.md": _page("Sensors", _TASKS, "sensors"),
    "reference/transfers.md": _page("Transfers", _TASKS, "transfers"),
    "reference/triggers.md": _page(
        "Triggers",
        "Two of these are for an `AssetWatcher`; the others are made by the operators that wait.",
        "triggers",
    ),
    "reference/notifier.md": _page("Notifier", "For callbacks and deadlines.", "notifications"),
    "reference/decorator.md": _page(
        "Decorator", "Registered with Airflow as `@task.twilio_message`.", "decorators"
    ),
    "reference/hook.md": lambda: f"# Hook\n\n::: {NAME}.hooks.twilio.TwilioHook\n",
    "reference/coverage.md": _coverage,
    "reference/calls-classic.md": _calls("Calls: the classic API", "classic"),
    "reference/calls-comms.md": _calls("Calls: the Communications API", "comms"),
    "reference/calls-other.md": _calls(
        "Calls: services, content, prices and look-ups", "messaging", "content", "pricing", "lookups", "oauth"
    ),
    "reference/connection.md": _connection,
    "reference/errors.md": _errors,
}
