"""Form and query fields, validated against the calls of ``api/`` and refused with Twilio's codes.

A field that no call knows is refused too: Twilio would ignore it, and the mistake would go unnoticed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from functools import cache
from typing import Any, Literal, NamedTuple, get_origin

import msgspec

from airflow_provider_twilio_comms.api._forms import Field, bare, fields, valid
from airflow_provider_twilio_comms.emulator.http import Problem, Request, form
from airflow_provider_twilio_comms.exceptions import InvalidInput

__all__ = ["asked", "given", "made", "required"]

Pairs = Iterable[tuple[str, str]]
_PAGING = ("PageSize", "Page", "PageToken")


def given(request: Request, shape: Any, codes: Mapping[str, int] | None = None) -> dict[str, Any]:
    """Read a form as the arguments of ``shape``; ``codes`` are Twilio's by field, for others 20001."""
    return made(form(request), shape, codes or {})


def asked(request: Request, shape: Any) -> dict[str, Any]:
    """Read the query of a list, without its paging."""
    return made([pair for pair in request.query if pair[0] not in _PAGING], shape, {})


def required(values: dict[str, Any], name: str, wire: str, code: int = 20001) -> Any:
    """Take out a required value."""
    if values.get(name) in (None, ""):
        raise Problem(400, code, f"A required parameter is missing: {wire}")
    return values.pop(name)


def made(pairs: Pairs, shape: Any, codes: Mapping[str, int]) -> dict[str, Any]:
    known = _readers(shape)
    texts: dict[str, list[str]] = {}
    for wire, text in pairs:
        if wire not in known:
            raise Problem(400, 20001, f"Unknown parameter: {wire}")
        texts.setdefault(wire, []).append(text)
    return {known[wire].field.name: _value(known[wire], each, codes) for wire, each in texts.items()}


class _Reader(NamedTuple):
    """A field, its type without limits, and how its texts are read and checked."""

    field: Field
    kind: Any
    form: Literal["text", "json", "list"]
    is_date: bool


@cache
def _readers(shape: Any) -> dict[str, _Reader]:
    """The fields of a shape by their names on the wire."""
    return {field.wire: _reader(field) for field in fields(shape).values()}


def _reader(field: Field) -> _Reader:
    kind = bare(field.hint)[0]
    origin, is_date = get_origin(kind), kind in (date, datetime)
    if not isinstance(origin, type):
        return _Reader(field, kind, "text", is_date)
    return _Reader(field, kind, "json" if issubclass(origin, Mapping) else "list", is_date)


def _value(reader: _Reader, texts: Sequence[str], codes: Mapping[str, int]) -> Any:
    field = reader.field
    try:
        value = _python(reader, texts)
        return valid(field.name, value, field.hint) if reader.is_date else msgspec.convert(value, field.hint)
    except (InvalidInput, InvalidOperation, ValueError, msgspec.MsgspecError):
        code = codes.get(field.wire, 20001)
        raise Problem(400, code, f"The parameter {field.wire} is invalid") from None


def _python(reader: _Reader, texts: Sequence[str]) -> Any:
    """Convert texts to a field's type; repeated fields are a list, all others their last value."""
    text, kind = texts[-1], reader.kind
    if reader.form != "text":
        return msgspec.json.decode(text) if reader.form == "json" else list(texts)
    if kind is bool:
        return {"true": True, "false": False}.get(text.lower(), text)
    if kind is int:
        return int(text)
    return Decimal(text) if kind is Decimal else text
