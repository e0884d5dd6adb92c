"""Assumptions about stored people and cohorts that reading can settle. Both are betas that few accounts have.

https://www.twilio.com/docs/cohorts
"""

from __future__ import annotations

from collections.abc import Callable

from airflow_provider_twilio_comms.api.audiences._assumed import (
    COHORT_PREFIX,
    COHORT_RECIPIENT,
    COHORT_SNAPSHOTS,
    COHORTS,
)
from airflow_provider_twilio_comms.api.flows import Flow
from airflow_provider_twilio_comms.api.wire import Product
from airflow_provider_twilio_comms.conformance.checks import (
    Check,
    Probe,
    Seen,
    answered,
    asked,
    named,
    stated,
    untried,
)
from airflow_provider_twilio_comms.exceptions import ApiError

__all__ = ["CHECKS"]

NOWHERE = f"{COHORT_PREFIX}01h9krwprkeee8fzqspvwy6nq8"
CLOSED = (401, 403, 404)  # of a list: the account does not have the product
PAGES = "https://www.twilio.com/docs/cohorts/api"


def _lists(path: str, product: Product, key: str) -> Callable[[Probe], Flow[Seen]]:
    def look(probe: Probe) -> Flow[Seen]:
        reply = yield from answered(asked("GET", path, product))
        if reply.status in CLOSED:
            return untried(f"{stated(reply)}: not available for this account")
        return Seen(key in named(reply), f"{stated(reply)}; fields {', '.join(named(reply))}")

    return look


def _unknown_cohort(probe: Probe) -> Flow[Seen]:
    """Check whether an unknown cohort is a 404 that is described by a title, and has no code."""
    listed = yield from answered(asked("GET", "/preview/Cohorts", "audiences"))
    if listed.status in CLOSED:
        return untried(f"{stated(listed)}: not available for this account")
    reply = yield from answered(asked("GET", f"/preview/Cohorts/{NOWHERE}", "audiences"))
    if not isinstance(reply, ApiError):
        return Seen(False, stated(reply))
    told = "a text" if reply.errors else "no text"
    return Seen(reply.status == 404 and bool(reply.errors), f"{stated(reply)}, with {told}")


def _send_to_unknown_cohort(probe: Probe) -> Flow[Seen]:
    """Check whether a send to a cohort that is not there is refused."""
    body = {"to": [{COHORT_RECIPIENT: NOWHERE}], "content": {"text": "conformance"}}
    reply = yield from answered(asked("POST", "/Messages", json=body))
    return Seen(reply.status in (400, 404), stated(reply))


CHECKS = (
    Check(
        "memory-stores",
        "memory stores are listed as stores",
        "Twilio's OpenAPI document of the Memory API",
        _lists("/v1/ControlPlane/Stores", "memory", "stores"),
    ),
    Check(
        "cohorts",
        "cohorts are listed as cohorts",
        "assumed",
        _lists("/preview/Cohorts", "audiences", COHORTS),
    ),
    Check(
        "cohort-snapshots",
        "snapshots are listed as cohortSnapshots",
        "assumed",
        _lists("/preview/CohortSnapshots", "audiences", COHORT_SNAPSHOTS),
    ),
    Check(
        "cohort-unknown",
        "an unknown cohort is answered with 404 and a title",
        f"{PAGES}/cohorts",
        _unknown_cohort,
    ),
    Check(
        "cohort-send", "a send to a cohort that is not there is refused", "assumed", _send_to_unknown_cohort
    ),
)
