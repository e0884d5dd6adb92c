"""Form and query fields, validated against the calls of ``api/`` and refused with Twilio's codes.

A field that no call knows is refused too: Twilio ignores it, as the mode ``like-twilio`` does, and nobody
notices the mistake.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from decimal import Decimal, InvalidOperation
from email.utils import parsedate_to_datetime
from typing import Any, get_origin

import msgspec

from airflow_provider_twilio_comms.api._forms import Field, bare, fields, valid
from airflow_provider_twilio_comms.emulator.http import Problem, Request, form
from airflow_provider_twilio_comms.exceptions import InvalidInput

__all__ = ["asked", "given", "made", "required"]

Pairs = Iterable[tuple[str, str]]
_PAGING = ("PageSize", "Page", "PageToken")


Codes = Mapping[str, "int | tuple[int, str]"]


def given(request: Request, shape: Any, codes: Codes | None = None) -> dict[str, Any]:
    """Read a form as the arguments of ``shape``.

    ``codes`` are Twilio's by field, with a text in which ``{}`` is the value; for others 20001.
    """
    return made(form(request), shape, codes or {}, request.strict)


def asked(request: Request, shape: Any) -> dict[str, Any]:
    """Read the query of a list, without its paging."""
    return made([pair for pair in request.query if pair[0] not in _PAGING], shape, {}, request.strict)


def required(values: dict[str, Any], name: str, wire: str, code: int = 20001) -> Any:
    """Take out a required value."""
    if values.get(name) in (None, ""):
        raise Problem(400, code, f"A required parameter is missing: {wire}")
    return values.pop(name)


def made(pairs: Pairs, shape: Any, codes: Codes, strict: bool) -> dict[str, Any]:
    known = {field.wire: field for field in fields(shape).values()}
    texts: dict[str, list[str]] = {}
    for wire, text in pairs:
        if wire in known:
            texts.setdefault(wire, []).append(text)
        elif strict:
            raise Problem(400, 20001, f"Unknown parameter: {wire}")
    return {known[wire].name: _value(known[wire], each, codes) for wire, each in texts.items()}


def _value(field: Field, texts: Sequence[str], codes: Codes) -> Any:
    try:
        return valid(field.name, _python(bare(field.hint)[0], texts), field.hint)
    except (InvalidInput, InvalidOperation, ValueError, msgspec.DecodeError):
        known = codes.get(field.wire, 20001)
        code, text = known if isinstance(known, tuple) else (known, f"The parameter {field.wire} is invalid")
        raise Problem(400, code, text.format(texts[-1])) from None


# Dates as Twilio's own examples write them, besides ISO 8601.
_SPACED = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(\.\d+)?")
_AMERICAN = re.compile(r"(\d\d)/(\d\d)/(\d{4} \d\d:\d\d:\d\d [A-Z]+)")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def _iso(text: str) -> str:
    """Write a date in ISO 8601; one of no known form stays."""
    if _SPACED.fullmatch(text):
        return f"{text[:19].replace(' ', 'T')}+00:00"
    american = _AMERICAN.fullmatch(text)
    if american and 1 <= int(american[1]) <= 12:
        text = f"Day, {american[2]} {_MONTHS[int(american[1]) - 1]} {american[3]}"
    try:
        return parsedate_to_datetime(text).isoformat() if "," in text else text
    except ValueError:
        return text


def _python(kind: Any, texts: Sequence[str]) -> Any:
    """Convert texts to a field's type; repeated fields are a list, all others their last value."""
    text, origin = texts[-1], get_origin(kind)
    if isinstance(origin, type):
        return msgspec.json.decode(text) if issubclass(origin, Mapping) else list(texts)
    if kind is bool:
        return {"true": True, "false": False}.get(text.lower(), text)
    if kind is int:
        return int(text)
    if kind is date:
        return _iso(text)
    return Decimal(text) if kind is Decimal else text
