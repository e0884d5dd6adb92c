"""Templates: the variables that a content needs, and each recipient's text, rendered as Liquid does."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol, TypeVar

from airflow_provider_twilio_comms.api import content
from airflow_provider_twilio_comms.api.flows import Flow, made
from airflow_provider_twilio_comms.exceptions import InvalidInput


def undefaulted(content: Mapping[str, Any]) -> frozenset[str]:
    """Find the variables that content, as the API takes it, prints without a default or a test.

    Raises :class:`InvalidInput` for a text that is not Liquid.
    """
    found: set[str] = set()
    for text in _texts(content):
        if "{{" in text or "{%" in text:
            found |= _Needs(_parsed(text)).found
    return frozenset(found)


def _texts(content: Any) -> Iterable[str]:
    """Every text in a content; templates by id have none here."""
    if isinstance(content, Mapping):
        for key, value in content.items():
            if key in ("text", "title", "description") and isinstance(value, str):  # of cards too
                yield value
            else:
                yield from _texts(value)
    elif isinstance(content, list):
        for value in content:
            yield from _texts(value)


def _parsed(text: str) -> Any:
    from liquid import Environment
    from liquid.exceptions import LiquidError

    try:
        return Environment().from_string(text)
    except LiquidError as error:
        problem = f"the text is not valid Liquid ({str(error).splitlines()[0]})"
        raise InvalidInput.at("content", problem, _fix_liquid(text)) from None


_filter_of_jinja = re.compile(r"\|\s*\w+\s*\(")


def _fix_liquid(text: str) -> str:
    if _filter_of_jinja.search(text):
        return (
            "Liquid writes a filter's argument after a colon: {{ name | default: 'there' }}; what Airflow is "
            "to render with Jinja takes render_content=True"
        )
    return (
        "Close every {{ with }}, every {% with %}, and {% if %} with {% endif %}; {% raw %} and {% endraw %} "
        "go around braces that are not Liquid"
    )


class _Needs:
    """The recipient's variables that a template prints, without a default and without an ``if`` for them.

    A name that the template makes itself (``assign``, ``capture``, ``for``) needs what it is made of.
    """

    def __init__(self, template: Any) -> None:
        from liquid import RenderContext

        self._context = RenderContext(template)
        self._made: dict[str, frozenset[str]] = {}
        self.found = self._of(template.nodes, frozenset())

    def _of(self, nodes: Iterable[Any], tested: frozenset[str]) -> frozenset[str]:
        found: set[str] = set()
        for node in nodes:
            kind = type(node).__name__
            if kind in ("OutputNode", "EchoNode"):
                found |= self._printed(node.expression) - tested
            elif kind == "AssignNode":
                self._made[str(node.name)] = self._printed(node.expression) - tested
            elif kind == "CaptureNode":
                self._made[str(node.name)] = self._inside(node, tested)
            elif kind in ("ForNode", "TablerowNode"):
                listed, own = (
                    self._names(node.expression.iterable),
                    [str(name) for name in node.block_scope()],
                )
                outside = {name: self._made[name] for name in own if name in self._made}
                self._made |= dict.fromkeys(own, frozenset[str]())
                self._made[str(node.expression.identifier)] = listed
                found |= self._inside(node, tested)
                for name in own:
                    del self._made[name]
                self._made |= outside
            else:
                self._made.update(dict.fromkeys(map(str, node.template_scope()), frozenset[str]()))
                asked = {name for each in node.expressions() for name in self._names(each)}
                found |= self._inside(node, tested | asked)
        return frozenset(found)

    def _inside(self, node: Any, tested: frozenset[str]) -> frozenset[str]:
        return self._of(node.children(self._context, include_partials=False), tested)

    def _printed(self, expression: Any) -> frozenset[str]:
        """The variables whose lack shows; none of an expression with a default."""
        if "default" in {each.name for each in getattr(expression, "filters", None) or ()}:
            return frozenset()
        return self._names(getattr(expression, "left", None), deep=False)

    def _names(self, expression: Any, deep: bool = True) -> frozenset[str]:
        """The recipient's variables in an expression."""
        path = getattr(expression, "path", None)
        if path and isinstance(path[0], str):
            return self._made.get(path[0], frozenset((path[0],)))
        if not deep or expression is None:
            return frozenset()
        return frozenset(name for child in expression.children() for name in self._names(child))


# Names that a template has in Airflow: https://airflow.apache.org/docs/apache-airflow/stable/templates-ref.html
_OF_AIRFLOW = frozenset(
    {
        "conn",
        "conf",
        "dag",
        "dag_run",
        "data_interval_end",
        "data_interval_start",
        "ds",
        "ds_nodash",
        "exception",
        "inlet_events",
        "inlets",
        "logical_date",
        "macros",
        "map_index_template",
        "outlet_events",
        "outlets",
        "params",
        "prev_data_interval_end_success",
        "prev_data_interval_start_success",
        "prev_end_date_success",
        "prev_start_date_success",
        "run_id",
        "start_date",
        "task",
        "task_instance",
        "task_instance_key_str",
        "task_state_store",
        "ti",
        "triggering_asset_events",
        "try_number",
        "ts",
        "ts_nodash",
        "ts_nodash_with_tz",
        "var",
    }
)


def absent_variables(names: Sequence[str]) -> InvalidInput:
    """Make the error of variables that not a single recipient has."""
    named = ", ".join(sorted(names))
    fix = "Correct the name, add the column, or give a default: {{ name | default: '...' }}"
    if of_airflow := sorted(_OF_AIRFLOW.intersection(names)):
        fix = (
            f"Airflow fills in {', '.join(of_airflow)} only with render_content=True, since content is "
            "a Liquid template, rendered for each recipient"
        )
    return InvalidInput.at("content", f"no recipient has the variable {named}, which has no default", fix)


_positional = re.compile(r"\{\{\s*([\w.-]+)\s*\}\}")

Render = Callable[[Mapping[str, str]], str]


class Text(NamedTuple):
    """The text of a message: ``render`` gives a recipient's. None says that no text is known here.

    ``media`` says that it is an MMS, which is not counted in segments; ``priced`` that the price list, which
    is that of SMS, says what it costs; ``constant`` that all have the same; ``costly`` that it takes Liquid
    itself to render it, some 40 microseconds.
    """

    render: Render | None
    media: bool = False
    priced: bool = True
    constant: bool = False
    costly: bool = False


def mixed(texts: Iterable[Text]) -> Text:
    """The text of a message of which some get one and some another: what can be said of all of them."""
    each = list(texts)
    known = all(text.render is not None for text in each)
    return Text(
        each[0].render if known else None,
        media=any(text.media for text in each),
        priced=all(text.priced for text in each),
        costly=any(text.costly for text in each),
    )


class Template(NamedTuple):
    """A content template at Twilio: its text, if it has one, and the defaults of its variables."""

    body: str | None
    defaults: Mapping[str, str] = {}

    @property
    def variables(self) -> frozenset[str]:
        return frozenset(_positional.findall(self.body or ""))


R = TypeVar("R", bound="Unaddressed")


class Unaddressed(Protocol):
    """A message to everyone, as far as it is looked at before anybody is known."""

    @property
    def envelope(self) -> int:
        """Bytes of a request without its recipients."""

    @property
    def template_sid(self) -> str | None:
        """The content template at Twilio that says it, if one does."""

    @property
    def needed(self) -> frozenset[str]:
        """The variables without a default."""

    def with_template(self: R, template: Template) -> R:
        """The same, with what the content template says."""

    def text(self) -> Text:
        """The text of each recipient."""


def filled(body: str, values: Mapping[str, str]) -> str:
    """A content template's body with its variables in their places."""
    return _positional.sub(lambda match: str(values.get(match[1], "")), body)


def renderer(given: Mapping[str, Any], template: str | None = None) -> Text:
    """Make a text of content, as the API takes it; ``template`` is the text of a content template."""
    if template is not None:
        return Text(lambda values: filled(template, values))
    for module in given.get("modules", ()):
        if "sms" in module:
            return renderer(module["sms"])
    if given.get("media"):
        return Text(None, media=True, priced=False)
    text = given.get("text")
    if not isinstance(text, str):
        return Text(None)
    if "{{" not in text and "{%" not in text:
        return Text(lambda values: text, constant=True)
    return _liquid(text)


def template_of(content_sid: str) -> Flow[Template]:
    """Fetch a content template."""
    found = yield from made(content.fetch(content_sid))
    bodies = (shape.get("body") for shape in (found.types or {}).values() if isinstance(shape, Mapping))
    body = next((body for body in bodies if isinstance(body, str) and body), None)
    return Template(body, found.variables or {})


def _liquid(text: str) -> Text:
    """Plain variables, with or without a default, are filled in at once; only the rest is left to Liquid."""
    template = _parsed(text)
    pieces = [_piece(node) for node in template.nodes]
    if any(piece is None for piece in pieces):
        return Text(lambda values: _rendered(template, values), costly=True)
    form = "".join(piece.replace("%", "%%") if isinstance(piece, str) else "%s" for piece in pieces)
    slots = [piece for piece in pieces if isinstance(piece, tuple)]
    return Text(lambda values: form % tuple([values.get(name) or default for name, default in slots]))


def _rendered(template: Any, values: Mapping[str, str]) -> str:
    """A text as Liquid renders it. Its errors may quote a recipient's values, so only their kind is told."""
    from liquid.exceptions import LiquidError, UnknownFilterError

    try:
        return str(template.render(values))
    except LiquidError as error:
        unknown = isinstance(error, UnknownFilterError)
        reason = str(error).splitlines()[0] if unknown else f"Liquid: {type(error).__name__}"
        raise InvalidInput.at(
            "content",
            f"the text of a recipient cannot be counted ({reason})",
            "Use a filter that Liquid has" if unknown else "Check the tags and filters in the text",
        ) from None


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
