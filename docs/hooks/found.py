"""Inventory of the public code for the reference: classes, their arguments, and calls."""

from __future__ import annotations

import ast
import importlib
import inspect
import pkgutil
import re
from collections.abc import Callable, Iterator
from datetime import timedelta
from functools import cache
from typing import Any, NamedTuple

from airflow_provider_twilio_comms.provider_info import get_provider_info
from docs.hooks.docstrings import described
from docs.hooks.reach import NAME
from docs.hooks.reach import modules as modules_read

__all__ = ["API", "KINDS", "Call", "arguments", "calls", "classes", "functions", "template_fields"]

API = f"{NAME}.api"
# Folders of the package with public classes, besides those that the provider's description lists.
KINDS = ("operators", "sensors", "transfers", "triggers", "notifications", "decorators", "hooks")
_PLURAL = {"operators": "Operator", "sensors": "Sensor", "transfers": "Operator", "triggers": "Trigger"}
_SUFFIX = {**_PLURAL, "notifications": "Notifier", "hooks": "Hook", "decorators": "task"}
# Arguments that the docstrings do not describe: they are Airflow's, or mostly for tests.
_MORE = {
    "initial_delay": "seconds after the deferral before the trigger fires at the earliest, since Airflow 3.3 "
    "can fail a task that resumes sooner with LocalExecutor",
    "poke_interval": "seconds between two checks (Airflow's own)",
    "twilio_conn_id": "the connection, of type ``twilio``",
}

# Arguments that a class overrides: with another default, or None if it does not take them at all.
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
    """List the dotted names of a folder's modules."""
    package = importlib.import_module(f"{NAME}.{folder}")
    found = pkgutil.walk_packages(package.__path__, f"{package.__name__}.")
    return tuple(sorted(each.name for each in found if not each.ispkg))


@cache
def classes(kind: str) -> tuple[type[Any], ...]:
    """List the public classes of a kind, without those that only serve as bases."""
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
    """List the functions for DAG files: ``send_each`` and the decorators."""
    found = []
    for name in modules(kind):
        module = importlib.import_module(name)
        public = (getattr(module, each) for each in getattr(module, "__all__", ()))
        found += [
            each for each in public if inspect.isfunction(each) and ".. code-block" in (each.__doc__ or "")
        ]
    return found


def arguments(cls: type[Any]) -> Iterator[tuple[str, str, str, str]]:
    """List name, type, default and meaning of each argument, those of its bases in this package included."""
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
            if name == "on_duplicate" and default is None:
                default = cls.usual_duplicates
            if default is not None or each.default is None:
                yield name, _spelled(str(each.annotation), base), _default(default), said.get(name, "")


def _spelled(annotation: str, cls: type[Any]) -> str:
    """Write out the choices in a type that refers to them by name."""

    def choices(found: re.Match[str]) -> str:
        module = choices_of(cls.__module__)
        return module.get(found[0], found[0])

    return re.sub(r"\b[A-Z]\w+\b", choices, annotation)


@cache
def choices_of(module: str) -> dict[str, str]:
    """Find the names in a module that stand for a ``Literal``, with the ``Literal`` itself."""
    tree = ast.parse(inspect.getsource(importlib.import_module(module)))
    imports = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    places = {alias.name: str(node.module) for node in imports for alias in node.names}
    found = {}
    for name, place in places.items():
        defined = modules_read()[place].defined.get(name) if place in modules_read() else None
        if defined is not None and (text := ast.unparse(defined)).startswith("Literal["):
            found[name] = text
    return found


def _default(value: Any) -> str:
    if value is inspect.Parameter.empty:
        return "required"
    return f"`{value}`" if isinstance(value, timedelta) else f"`{value!r}`"


def template_fields(cls: type[Any]) -> list[str]:
    """List the arguments in which Jinja is rendered, by name."""
    return sorted(set(getattr(cls, "template_fields", ())))


@cache
def calls() -> tuple[Call, ...]:
    """List every function of ``api`` that describes a request, sorted by name."""
    found = []
    for path in modules("api"):
        module = importlib.import_module(path)
        for name in getattr(module, "__all__", ()):
            function = getattr(module, name)
            text = function.__doc__ or "" if inspect.isfunction(function) else ""
            request = re.search(r"``((?:GET|POST|PUT|PATCH|DELETE) \S+)``", text)
            if request:
                page = re.search(r"https://\S*\w", f"{text} {module.__doc__} {inspect.getsource(module)}")
                assert page, f"{path}.{name} has no link to Twilio's documentation"
                found.append(Call(f"{path.removeprefix(f'{API}.')}.{name}", request[1], page[0]))
    return tuple(sorted(found))
