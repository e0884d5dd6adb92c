"""Arguments of a campaign with variants: check them when the DAG is parsed, and make a try's requests."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from airflow_provider_twilio_comms._core.campaigns.variants import TAG, Split, varied
from airflow_provider_twilio_comms._tasks.arguments import content_of
from airflow_provider_twilio_comms.exceptions import InvalidInput

_NAME = re.compile(r"[a-zA-Z0-9._~-]{1,100}")
_KEYS = {"content", "weight"}
_WRITE = "Write them like {'a': {'content': ...}, 'b': {'content': ..., 'weight': 2}}"


class VariedTask(Protocol):
    """A task that may have variants."""

    content: Any

    @property
    def split(self) -> Split | None: ...

    @property
    def contents(self) -> Mapping[str, Any]: ...


def check_variants(given: Any, content: Any, rendered: bool) -> dict[str, dict[str, Any]] | None:
    """Check variants, each with a content (else ``content``) and a weight. Raises :class:`InvalidInput`."""
    if given is None:
        if content is None:
            raise InvalidInput.at("content", "is missing", "Give it, or variants with contents")
        return None
    if not isinstance(given, Mapping) or not given:
        raise InvalidInput.at("variants", "are not a mapping of names to contents", _WRITE)
    found = {}
    for name, each in given.items():
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            fix = "Names have letters, digits and . _ ~ - only, since they are tags at Twilio"
            raise InvalidInput.at("variants", f"{name!r} cannot be a name", fix)
        if not isinstance(each, Mapping) or set(each) - _KEYS:
            raise InvalidInput.at("variants", f"{name!r} is not a mapping of content and weight", _WRITE)
        said = each.get("content", content)
        if said is None:
            raise InvalidInput.at("variants", f"{name!r} has no content, and there is none for all", _WRITE)
        weight = each.get("weight", 1)
        if isinstance(weight, bool) or not isinstance(weight, (int, float)) or not 0 < weight < 1e6:
            raise InvalidInput.at("variants", f"the weight of {name!r} is not more than 0", _WRITE)
        found[name] = {"content": content_of(said, rendered=rendered), "weight": float(weight)}
    return found


def check_holdout(holdout: float | None) -> float:
    """Check the share of people who get nothing. Raises :class:`InvalidInput`."""
    if holdout is None:
        return 0.0
    if isinstance(holdout, bool) or not isinstance(holdout, (int, float)) or not 0 <= holdout < 1:
        raise InvalidInput.at("holdout", f"{holdout!r} is not a share of people", "Give one such as 0.05")
    return float(holdout)


def split_of(campaign: str | None, variants: Mapping[str, Any] | None, holdout: float) -> Split | None:
    """The way in which a campaign is split, if it is. Raises :class:`InvalidInput` where it has no name."""
    if not variants and not holdout:
        return None
    name = str(campaign or "").strip()
    if not name:
        raise InvalidInput.at(
            "campaign",
            "is missing: people are assigned by its name",
            "Name the campaign; every later one of that name has the same people in each variant",
        )
    return Split(name, {each: found["weight"] for each, found in (variants or {}).items()}, holdout)


def requested(task: VariedTask, make: Callable[[Any, Mapping[str, str]], Any]) -> Any:
    """The request of a task; ``make`` makes that of one content, with the tags of its variant."""
    if not task.contents:
        return varied(make(task.content.value, {}), {}, task.split)
    made = {name: make(content, {TAG: name}) for name, content in task.contents.items()}
    return varied(next(iter(made.values())), made, task.split)
