"""What a message says, and its Liquid: https://www.twilio.com/docs/comms/personalization."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from liquid import Environment, RenderContext
from liquid.ast import Node
from liquid.builtin.expressions import FilteredExpression, Path
from liquid.builtin.output import OutputNode
from liquid.exceptions import LiquidError
from liquid.template import BoundTemplate

from airflow_provider_twilio_comms.emulator.http import Problem

__all__ = ["Content", "rendered", "template"]

_LIQUID = Environment()


class Content:
    """The ``content`` of a request, its texts compiled once and rendered when somebody looks.

    Raises a 400 for a text that is not Liquid, and, where ``strict``, for a variable without a default.
    """

    __slots__ = ("_form", "_templates")

    def __init__(self, form: Mapping[str, Any], strict: bool) -> None:
        self._form = form
        self._templates = {
            text: template(text, where, strict) for where, text in _texts(form, "$.content") if "{" in text
        }

    @property
    def text(self) -> str:
        """The text as it was written; of modules, the first."""
        return next((text for _, text in _texts(self._form, "")), self._form.get("contentId", ""))

    @property
    def media(self) -> bool:
        return bool(self._form.get("media"))

    def serves(self, channel: str) -> bool:
        """Is there anything to say on this channel?"""
        modules = self._form.get("modules")
        return modules is None or any(channel.lower() in module for module in modules)

    def as_sent(self, channel: str | None, variables: Mapping[str, str]) -> dict[str, Any]:
        """The content as one recipient gets it through ``channel``."""
        form = dict(self._form)
        if channel and "modules" in form:
            form["modules"] = [module for module in form["modules"] if channel.lower() in module]
        filled: dict[str, Any] = self._filled(form, variables)
        return filled

    def _filled(self, value: Any, variables: Mapping[str, str]) -> Any:
        if isinstance(value, dict):
            return {name: self._filled(item, variables) for name, item in value.items()}
        if isinstance(value, list):
            return [self._filled(item, variables) for item in value]
        compiled = self._templates.get(value) if isinstance(value, str) else None
        return rendered(compiled, variables) if compiled else value


def template(text: str, where: str, strict: bool = False) -> BoundTemplate:
    """Compile. Raises a 400 that names the place."""
    try:
        compiled = _LIQUID.from_string(text)
        found = compiled.analyze(include_partials=False)
    except LiquidError as error:
        raise Problem(400, 20001, f"Not a Liquid template: {error.message}", where) from None
    unknown = set(found.filters) - set(_LIQUID.filters)
    if unknown:
        raise Problem(400, 20001, f"Liquid has no filter {', '.join(sorted(unknown))}", where)
    if strict and _bare(compiled, set(found.locals)):
        raise Problem(400, 20001, "A Liquid variable has no default value", where)
    return compiled


def rendered(compiled: BoundTemplate, variables: Mapping[str, str]) -> str:
    """Fill in. A fault that shows only now leaves the text empty, since Twilio has long accepted it."""
    try:
        return compiled.render(variables)
    except LiquidError:
        return ""


def _texts(value: Any, where: str) -> Iterator[tuple[str, str]]:
    """Every text field, at whatever depth: ``text``, and a rich card's ``title`` and ``description``."""
    if isinstance(value, dict):
        for name, item in value.items():
            if name in ("text", "title", "description") and isinstance(item, str):
                yield f"{where}.{name}", item
            else:
                yield from _texts(item, f"{where}.{name}")
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _texts(item, f"{where}[{index}]")


def _bare(compiled: BoundTemplate, local: set[str]) -> bool:
    """Is a variable put out that may be missing? Those that the template itself assigns are not."""
    context = RenderContext(compiled)
    nodes: list[Node] = list(compiled.nodes)
    while nodes:
        node = nodes.pop()
        nodes.extend(node.children(context, include_partials=False))
        expression = getattr(node, "expression", None)
        if not isinstance(node, OutputNode) or not isinstance(expression, FilteredExpression):
            continue
        path = expression.left.path if isinstance(expression.left, Path) else ()
        named = {each.name for each in expression.filters or ()}
        if path and path[0] not in local and "default" not in named:
            return True
    return False
