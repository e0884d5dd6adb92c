"""Bodies of requests, read strictly, or in the mode ``like-twilio`` as Twilio's open schemas allow."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Generic, TypeVar

import msgspec
from msgspec import inspect

from airflow_provider_twilio_comms.emulator.comms.modules import Strict
from airflow_provider_twilio_comms.emulator.http import Request, body_as

__all__ = ["Body"]

T = TypeVar("T")


class Body(Generic[T]):
    """The body of a kind of request."""

    def __init__(self, kind: Any) -> None:
        self._decoder: msgspec.json.Decoder[T] = msgspec.json.Decoder(kind)
        self._form = inspect.type_info(kind)

    def read(self, request: Request) -> T:
        """Decode a body. Raises a 400 that names the place of the error."""
        if not request.strict:
            try:
                known = _known(msgspec.json.decode(request.body), self._form)
            except (msgspec.DecodeError, UnicodeDecodeError):
                return body_as(request, self._decoder)  # which says what is wrong
            request = replace(request, body=msgspec.json.encode(known))
        return body_as(request, self._decoder)


def _known(value: Any, form: inspect.Type) -> Any:
    """Take out the keys that an open schema does not know, at any depth."""
    if isinstance(form, inspect.UnionType):
        for each in form.types:
            value = _known(value, each)
    elif isinstance(form, inspect.ListType) and isinstance(value, list):
        return [_known(each, form.item_type) for each in value]
    elif isinstance(form, inspect.StructType) and isinstance(value, dict):
        fields = {field.encode_name: field.type for field in form.fields}
        closed = issubclass(form.cls, Strict) and form.cls.is_closed(value)
        return {
            name: _known(each, fields[name]) if name in fields else each
            for name, each in value.items()
            if name in fields or closed
        }
    return value
