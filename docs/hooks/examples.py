"""Import lines for the examples in docstrings, so that each can be pasted as it stands."""

from __future__ import annotations

import ast
import re
from functools import cache

from docs.hooks.found import API, KINDS, classes, functions

__all__ = ["import_line", "with_imports"]

# Names of other packages in examples, and modules of calls, by where they come from.
_OTHERS = {
    "Asset": "airflow.sdk",
    "AssetWatcher": "airflow.sdk",
    "DAG": "airflow.sdk",
    "task": "airflow.sdk",
    "operations": f"{API}.comms",
    "timedelta": "datetime",
}
_EXAMPLE = re.compile(r"^```python\n(.*?)^```$", re.M | re.S)


def import_line(module: str, *names: str) -> str:
    """Write the import of some names from a module."""
    return f"from {module} import {', '.join(sorted(names))}"


def with_imports(text: str) -> str:
    """Begin each Python example of a text with the imports that it needs."""
    return _EXAMPLE.sub(lambda found: f"```python\n{_imports(found[1])}{found[1]}```", text)


def _imports(code: str) -> str:
    tree = ast.parse(code)
    if any(isinstance(node, ast.Import | ast.ImportFrom) for node in ast.walk(tree)):
        return ""
    used = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    places: dict[str, list[str]] = {}
    for name in used & set(_places()):
        places.setdefault(_places()[name], []).append(name)
    ours = {module: names for module, names in places.items() if module.startswith(API.partition(".")[0])}
    lines = [
        "\n".join(import_line(each, *group[each]) for each in sorted(group))
        for group in _sorted(places, ours)
    ]
    return "\n\n".join(lines) + "\n\n" if lines else ""


def _sorted(places: dict[str, list[str]], ours: dict[str, list[str]]) -> list[dict[str, list[str]]]:
    """Group imports as a linter wants them: the standard library, Airflow, this package."""
    standard = {each: names for each, names in places.items() if each == "datetime"}
    airflow = {each: names for each, names in places.items() if each not in ours and each not in standard}
    return [group for group in (standard, airflow, ours) if group]


@cache
def _places() -> dict[str, str]:
    """Find the module of each public name."""
    found = {each.__name__: each.__module__ for kind in KINDS for each in (*classes(kind), *functions(kind))}
    return _OTHERS | found
