"""Query parameters of lists: known ones must be valid, unknown ones are ignored, as at Twilio."""

from __future__ import annotations

import re
from collections.abc import Sequence

from airflow_provider_twilio_comms.emulator.clock import moment_of
from airflow_provider_twilio_comms.emulator.http import Problem, Request

__all__ = ["VERSION", "choice", "date_range", "identifier", "tag_filter"]

VERSION = "/{version:v1|preview}"
_TAGS = re.compile(r"(?:[a-zA-Z0-9._~-]+:[a-zA-Z0-9._~-]+;){1,10}")


def choice(request: Request, name: str, values: Sequence[str]) -> str | None:
    value = request.values.get(name)
    if value is not None and value not in values:
        raise Problem(400, 20001, f"{name} is one of {', '.join(values)}", name)
    return value


def identifier(request: Request, name: str, kind: str) -> str | None:
    """Read an id of the right kind. The pattern is open at its end, as Twilio's is."""
    value = request.values.get(name)
    if value is not None and not re.match(rf"{kind}_[0-7][a-hjkmnpqrstv-z0-9]{{25,34}}", value):
        raise Problem(400, 20001, f"{name} is not an id of the form {kind}_...", name)
    return value


def date_range(request: Request) -> tuple[float, float]:
    """Read ``startDate`` and ``endDate``; the end must be later than the start."""
    moments = []
    for name, otherwise in (("startDate", float("-inf")), ("endDate", float("inf"))):
        text = request.values.get(name)
        moment = otherwise if text is None else moment_of(text)
        if moment is None:
            raise Problem(400, 20001, f"{name} is not an RFC 3339 time", name)
        moments.append(moment)
    if moments[1] <= moments[0]:
        raise Problem(400, 20001, "endDate is not later than startDate", "endDate")
    return moments[0], moments[1]


def tag_filter(request: Request) -> dict[str, str]:
    """Read a filter by up to ten tags, ``key:value;key2:value2;``, all of which must match."""
    text = request.values.get("tags")
    if text is None:
        return {}
    if not _TAGS.fullmatch(text):
        raise Problem(400, 20001, "tags are written key:value;key2:value2;", "tags")
    return dict(pair.split(":", 1) for pair in text.strip(";").split(";"))
