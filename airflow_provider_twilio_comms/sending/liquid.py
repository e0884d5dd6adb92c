"""Which variables a text cannot do without.

Twilio's texts are Liquid. A variable without a ``default`` filter is empty, or the request is refused, for a
recipient who lacks it; accounts of which of the two differ, so it is worth a warning.
https://www.twilio.com/docs/comms/personalization
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from airflow_provider_twilio_comms.exceptions import InvalidInput

__all__ = ["undefaulted"]


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
