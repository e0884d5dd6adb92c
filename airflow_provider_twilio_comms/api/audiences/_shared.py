"""Ids, labels and replies that the calls about cohorts have in common."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, TypeVar

import msgspec
from msgspec import Meta

from airflow_provider_twilio_comms.api._forms import valid
from airflow_provider_twilio_comms.api.audiences._assumed import (
    COHORT_PREFIX,
    OPERATION_PREFIX,
    SNAPSHOT_PREFIX,
)
from airflow_provider_twilio_comms.api.wire import Reply, decoded, unreadable

S = TypeVar("S", bound=msgspec.Struct)


def _id(prefix: str) -> Meta:
    return Meta(pattern=rf"^{prefix}\w+\Z", description=f"an id, {prefix}...")


CohortId = Annotated[str, _id(COHORT_PREFIX)]
SnapshotId = Annotated[str, _id(SNAPSHOT_PREFIX)]
OperationId = Annotated[str, _id(OPERATION_PREFIX)]
_Key = Annotated[str, Meta(pattern=r"^(?!twilio__)[a-zA-Z0-9._~-]{1,128}\Z")]
_Value = Annotated[str, Meta(pattern=r"^[a-zA-Z0-9._~-]{1,256}\Z")]
_RULES = "up to 10 pairs of letters, digits and . _ ~ -, no key starting with twilio__"
Labels = Annotated[Mapping[_Key, _Value], Meta(max_length=10, description=_RULES)]
LabelChanges = Annotated[Mapping[_Key, _Value | None], Meta(max_length=10, description=_RULES)]


def label_filter(labels: Mapping[str, str] | None) -> str | None:
    """Encode labels as a filter, ``key:value,key2:value2``; all must match."""
    if not labels:
        return None
    return ",".join(f"{key}:{value}" for key, value in valid("labels", labels, Labels).items())


def unwrapped(reply: Reply, name: str, shape: type[S]) -> S:
    """Read a resource, whether it stands alone or wrapped in its name."""
    body = decoded(reply, dict[str, Any])
    inner = body.get(name)
    try:
        return msgspec.convert(inner if isinstance(inner, dict) else body, shape, strict=False)
    except msgspec.ValidationError as error:
        raise unreadable(reply, str(error)) from None
