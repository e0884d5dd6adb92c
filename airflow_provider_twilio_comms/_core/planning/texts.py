"""What each recipient's text will be."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

from airflow_provider_twilio_comms.api import content
from airflow_provider_twilio_comms.api.flows import Flow, made
from airflow_provider_twilio_comms.exceptions import InvalidInput

__all__ = ["Template", "Text", "filled", "renderer", "template_of", "undefaulted"]


def undefaulted(content: Mapping[str, Any]) -> frozenset[str]:
    """The variables printed without a default, in content as the API takes it.

    Raises :class:`InvalidInput` for a text that is not Liquid.
    """
    return frozenset(name for text in _texts(content) if "{{" in text or "{%" in text for name in _bare(text))


def _texts(content: Any) -> Iterable[str]:
    """Every text in a content; templates by id have none here."""
    if isinstance(content, Mapping):
        for key, value in content.items():
            if key == "text" and isinstance(value, str):
                yield value
            else:
                yield from _texts(value)
    elif isinstance(content, list):
        for value in content:
            yield from _texts(value)


def _bare(text: str) -> Iterable[str]:
    from liquid import Environment
    from liquid.builtin.expressions import FilteredExpression
    from liquid.exceptions import LiquidError

    try:
        template = Environment().from_string(text)
        outputs = [node for root in template.nodes for node in _nodes(root, template)]
    except LiquidError as error:
        raise InvalidInput.at(
            "content",
            f"the text is no Liquid ({str(error).splitlines()[0]})",
            "Write {% raw %} around braces",
        ) from None
    for node in outputs:
        expression = getattr(node, "expression", None)
        if not isinstance(expression, FilteredExpression):
            continue
        filters = {found.name for found in expression.filters or ()}
        path = getattr(expression.left, "path", None)
        if path and "default" not in filters and isinstance(path[0], str):
            yield path[0]


def _nodes(node: Any, template: Any) -> Iterable[Any]:
    from liquid import RenderContext

    yield node
    for child in node.children(RenderContext(template), include_partials=False):
        yield from _nodes(child, template)


_positional = re.compile(r"\{\{\s*([\w.-]+)\s*\}\}")

Render = Callable[[Mapping[str, str]], str]


class Text(NamedTuple):
    """What a message says: ``render`` gives a recipient's text. None says that no text is known here.

    ``media`` says that it is an MMS, which is not counted in segments; ``constant`` that all have the same;
    ``costly`` that it takes Liquid itself to render it, some 40 microseconds.
    """

    render: Render | None
    media: bool = False
    constant: bool = False
    costly: bool = False


class Template(NamedTuple):
    """What a content template at Twilio says, if it has a text, and what its variables are if left out."""

    body: str | None
    defaults: Mapping[str, str] = {}

    @property
    def variables(self) -> frozenset[str]:
        return frozenset(_positional.findall(self.body or ""))


def filled(body: str, values: Mapping[str, str]) -> str:
    """A content template's body with its variables in their places."""
    return _positional.sub(lambda match: str(values.get(match[1], "")), body)


def renderer(given: Mapping[str, Any], template: str | None = None) -> Text:
    """How content, as the API takes it, becomes a text; ``template`` is what a content template says."""
    if template is not None:
        return Text(lambda values: filled(template, values))
    for module in given.get("modules", ()):
        if "sms" in module:
            return renderer(module["sms"])
    if given.get("media"):
        return Text(None, media=True)
    text = given.get("text")
    if not isinstance(text, str):
        return Text(None)
    if "{{" not in text and "{%" not in text:
        return Text(lambda values: text, constant=True)
    return _liquid(text)


def template_of(content_sid: str) -> Flow[Template]:
    """What a content template says."""
    found = yield from made(content.fetch(content_sid))
    bodies = (shape.get("body") for shape in (found.types or {}).values() if isinstance(shape, Mapping))
    body = next((body for body in bodies if isinstance(body, str) and body), None)
    return Template(body, found.variables or {})


def _liquid(text: str) -> Text:
    """Plain variables, with or without a default, are filled in at once; only the rest is left to Liquid."""
    from liquid import Environment

    template = Environment().from_string(text)
    pieces = [_piece(node) for node in template.nodes]
    if any(piece is None for piece in pieces):
        return Text(lambda values: template.render(**values), costly=True)
    form = "".join(piece.replace("%", "%%") if isinstance(piece, str) else "%s" for piece in pieces)
    slots = [piece for piece in pieces if isinstance(piece, tuple)]
    return Text(lambda values: form % tuple([values.get(name) or default for name, default in slots]))


def _piece(node: Any) -> str | tuple[str, str] | None:
    """A text; a variable's name and default; or None for anything else."""
    from liquid.builtin.expressions import FilteredExpression, StringLiteral

    if type(node).__name__ == "ContentNode":
        return str(node.text)
    expression = getattr(node, "expression", None)
    if type(node).__name__ != "OutputNode" or type(expression) is not FilteredExpression:
        return None
    path = getattr(expression.left, "path", None)
    if not path or len(path) != 1 or not isinstance(path[0], str):
        return None
    filters = expression.filters or ()
    if not filters:
        return path[0], ""
    (only, *more) = filters
    if more or only.name != "default" or len(only.args) != 1:
        return None
    default = getattr(only.args[0], "value", None)
    return (path[0], default.value) if isinstance(default, StringLiteral) else None
