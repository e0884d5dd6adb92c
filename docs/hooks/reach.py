"""Call graph from tasks to calls of the API, read from the source.

Nothing is imported. A *definition* is a name at the top of a module; it names others, in its module or
through an import, anywhere in its body. A task can make the calls that its class reaches in this way.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

__all__ = ["Definition", "reached"]

NAME = "airflow_provider_twilio_comms"
PACKAGE = Path(__file__).resolve().parents[2] / NAME
# These make calls for their own use (a token, the connection test), and none of a task's.
CARRIERS = (f"{NAME}.client", f"{NAME}.hooks")

# The methods of a task, a trigger and a notifier that Airflow calls.
ENTRIES = ("execute", "execute_complete", "resume_execution", "on_kill", "poke", "run", "look", "notify")

Definition = tuple[str, str]  # a module, and a name in it


@dataclass
class Module:
    """A module's definitions, and those that it imports, by name."""

    defined: dict[str, ast.AST] = field(default_factory=dict)
    imported: dict[str, Definition] = field(default_factory=dict)


@cache
def modules() -> dict[str, Module]:
    """Read every module of the package, by its dotted name."""
    found = {}
    for path in PACKAGE.rglob("*.py"):
        parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = _read(path)
    return found


def _read(path: Path) -> Module:
    module, tree = Module(), ast.parse(path.read_text())
    for node in tree.body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            module.defined[node.name] = node
        elif isinstance(node, ast.Assign):
            module.defined.update(
                {each.id: node.value for each in node.targets if isinstance(each, ast.Name)}
            )
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.value:
            module.defined[node.target.id] = node.value
    for node in _imports(tree):
        for alias in node.names:
            module.imported[alias.asname or alias.name] = (str(node.module), alias.name)
    return module


def _imports(tree: ast.Module) -> Iterator[ast.ImportFrom]:
    """Find imports from the package, lazy ones too, but not those for type checkers only."""
    typing = {
        inner
        for node in tree.body
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
        for inner in ast.walk(node)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and str(node.module).startswith(NAME) and node not in typing:
            yield node


def _names(module: str, node: ast.AST) -> Iterator[Definition]:
    """Find the definitions that some code of a module names."""
    there = modules()[module]
    for each in ast.walk(node):
        if isinstance(each, ast.Name):
            if each.id in there.defined:
                yield module, each.id
            elif each.id in there.imported:
                yield there.imported[each.id]
        elif isinstance(each, ast.Attribute) and isinstance(each.value, ast.Name):
            owner = ".".join(there.imported.get(each.value.id, ()))
            if owner in modules():
                yield owner, each.attr


@cache
def named(definition: Definition) -> frozenset[Definition]:
    """Find the definitions that a definition names."""
    module = modules().get(definition[0])
    node = module.defined.get(definition[1]) if module else None
    return frozenset(_names(definition[0], node) if node else ())


def _bodies(definition: Definition) -> Iterator[tuple[str, dict[str, ast.AST]]]:
    """List a class and its bases of this package, nearest first: the module, and its members by name."""
    module = modules().get(definition[0])
    node = module.defined.get(definition[1]) if module else None
    if not isinstance(node, ast.ClassDef):
        return
    body: dict[str, ast.AST] = {}
    for each in node.body:
        if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef):
            body[each.name] = each
        elif isinstance(each, ast.Assign | ast.AnnAssign) and each.value:
            targets = each.targets if isinstance(each, ast.Assign) else [each.target]
            body.update({target.id: each.value for target in targets if isinstance(target, ast.Name)})
    yield definition[0], body
    for base in node.bases:
        for each in _names(definition[0], base):
            yield from _bodies(each)


def _named_by_class(start: Definition) -> set[Definition]:
    """Find the definitions named by the methods that Airflow calls, and by members of ``self`` they use."""
    bodies, found = list(_bodies(start)), set[Definition]()
    left, seen = list(ENTRIES), set(ENTRIES)
    while left:
        name = left.pop()
        for module, body in bodies:
            if name not in body:
                continue
            found.update(_names(module, body[name]))
            uses = {each.attr for each in ast.walk(body[name]) if isinstance(each, ast.Attribute)}
            left += uses - seen
            seen |= uses
            if "super()" not in ast.unparse(body[name]):
                break
    return found


def reached(start: Definition) -> set[Definition]:
    """Find every definition that a class reaches, by names alone."""
    seen = {each for each in _named_by_class(start) if not each[0].startswith(CARRIERS)}
    left = list(seen)
    while left:
        for each in named(left.pop()):
            if each not in seen and not each[0].startswith(CARRIERS):
                seen.add(each)
                left.append(each)
    return seen
