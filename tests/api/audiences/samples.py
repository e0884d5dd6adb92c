"""Samples of every call about cohorts, with the request that each must become."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from airflow_provider_twilio_comms.api.audiences import cohort_operations, cohort_snapshots, cohorts
from airflow_provider_twilio_comms.api.wire import Call

__all__ = ["CRITERIA", "SAMPLES", "Sample", "World"]

CRITERIA = 'profile.trait.Contact.city == "Lisbon"'


@dataclass(frozen=True)
class World:
    """The resources of an account."""

    store: str = "mem_store_01h9krwprkeee8fzqspvwy6nq8"
    cohort: str = "cmp_cohort_01h9krwprkeee8fzqspvwy6nq8"
    snapshot: str = "cmp_cohortsnapshot_01h9krwprkeee8fzqspvwy6nq8"
    operation: str = "cmp_operation_01h9krwprkeee8fzqspvwy6nq8"


@dataclass(frozen=True)
class Sample:
    """A call; in the request ``<name>`` stands for a field of the :class:`World`."""

    name: str
    call: Callable[[World], Call[Any]]
    wire: str
    json: Any = None
    headers: tuple[tuple[str, str], ...] = ()


C, S = "/preview/Cohorts", "/preview/CohortSnapshots"
STORE = {"storeType": "MEMORY_STORE", "storeId": "<store>", "criteria": CRITERIA}

SAMPLES = [
    Sample(
        "cohorts.create",
        lambda w: cohorts.create("lapsed", w.store, CRITERIA, labels={"team": "crm"}, idempotency_key="k1"),
        f"POST {C}",
        {"displayName": "lapsed", **STORE, "labels": {"team": "crm"}},
        (("Idempotency-Key", "k1"),),
    ),
    Sample(
        "cohorts.list",
        lambda w: cohorts.list(labels={"team": "crm", "a": "b"}, store_id=w.store, page_size=5),
        f"GET {C}?labels=team%3Acrm%2Ca%3Ab&storeType=MEMORY_STORE&storeId=<store>&pageSize=5",
    ),
    Sample("cohorts.fetch", lambda w: cohorts.fetch(w.cohort), f"GET {C}/<cohort>"),
    Sample(
        "cohorts.fetch_if_changed",
        lambda w: cohorts.fetch_if_changed(w.cohort, '"1"'),
        f"GET {C}/<cohort>",
        headers=(("If-None-Match", '"1"'),),
    ),
    Sample(
        "cohorts.update",
        lambda w: cohorts.update(w.cohort, criteria=CRITERIA, labels={"team": None}, etag='"1"'),
        f"PATCH {C}/<cohort>",
        {"criteria": CRITERIA, "labels": {"team": None}},
        (("If-Match", '"1"'),),
    ),
    Sample("cohorts.delete", lambda w: cohorts.delete(w.cohort), f"DELETE {C}/<cohort>"),
    Sample(
        "cohort_snapshots.create",
        lambda w: cohort_snapshots.create(w.cohort, labels={"run": "r1"}),
        f"POST {S}",
        {"source": {"cohortId": "<cohort>"}, "labels": {"run": "r1"}},
    ),
    Sample(
        "cohort_snapshots.create",
        lambda w: cohort_snapshots.create(store_id=w.store, criteria=CRITERIA, profile_limit=10),
        f"POST {S}",
        {"source": STORE, "profileLimit": 10},
    ),
    Sample(
        "cohort_snapshots.list",
        lambda w: cohort_snapshots.list(cohort_id=w.cohort, order_by="COMPLETED_AT", order_direction="ASC"),
        f"GET {S}?cohortId=<cohort>&orderBy=COMPLETED_AT&orderDirection=ASC",
    ),
    Sample("cohort_snapshots.fetch", lambda w: cohort_snapshots.fetch(w.snapshot), f"GET {S}/<snapshot>"),
    Sample(
        "cohort_snapshots.delete", lambda w: cohort_snapshots.delete(w.snapshot), f"DELETE {S}/<snapshot>"
    ),
    Sample(
        "cohort_snapshots.list_profiles",
        lambda w: cohort_snapshots.list_profiles(w.snapshot, partition=0, page_size=5000),
        f"GET {S}/<snapshot>/Profiles?partition=0&pageSize=5000",
    ),
    Sample(
        "cohort_operations.fetch",
        lambda w: cohort_operations.fetch(w.operation),
        "GET /preview/CohortOperations/<operation>",
    ),
]
