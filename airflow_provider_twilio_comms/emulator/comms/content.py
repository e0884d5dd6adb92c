"""Message content and its Liquid templates: https://www.twilio.com/docs/comms/personalization."""

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
    """The ``content`` of a request, its texts compiled once and rendered only when they are read.

    Raises a 400 for a text that is not Liquid, and, if ``strict``, for a variable without a default.
    """

    __slots__ = ("_form", "_templates")

    def __init__(self, form: Mapping[str, Any], strict: bool) -> None:
        self._form = form
        self._templates = {
            text: template(text, where, strict) for where, text in _texts(form, "$.content") if "{" in text
        }

    @property
    def text(self) -> str:
        """The text before rendering; of modules, the first."""
        return next((text for _, text in _texts(self._form, "")), self._form.get("contentId", ""))

    @property
    def multimedia(self) -> bool:
        """True for media and for a template: their attempts have the SIDs of multimedia messages (MM)."""
        return bool(self._form.get("media") or self._form.get("contentId"))

    def serves(self, channel: str) -> bool:
        """Tell if there is content for a channel."""
        modules = self._form.get("modules")
        return modules is None or any(channel.lower() in module for module in modules)

    def as_sent(self, channel: str | None, variables: Mapping[str, str]) -> dict[str, Any]:
        """Render the content for one recipient on a channel."""
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
    """Compile a Liquid template. Raises a 400 that names the place of the error."""
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
    """Render a template. An error that shows only now leaves the text empty, since the send was accepted."""
    try:
        return compiled.render(variables)
    except LiquidError:
        return ""


def _texts(value: Any, where: str) -> Iterator[tuple[str, str]]:
    """Collect every text field, at any depth: ``text``, and a rich card's ``title`` and ``description``."""
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
    """Tell if a variable is used that may be missing; those that the template assigns never are."""
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
