"""Groups of stored people: cohorts, and snapshots of them."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow_provider_twilio_comms._core.xcom_keys import SENT
from airflow_provider_twilio_comms._tasks.arguments import or_default, seconds
from airflow_provider_twilio_comms._tasks.operator import INITIAL_DELAY, TwilioOperator, failing_fast
from airflow_provider_twilio_comms.exceptions import InvalidInput

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_provider_twilio_comms._core.profiles.cohorts import Taken
    from airflow_provider_twilio_comms._tasks.waiting import CohortTaskWait

__all__ = ["TwilioCohortOperator", "TwilioCohortSnapshotOperator"]

_NOTED = "twilio.snapshot"


class TwilioCohortOperator(TwilioOperator):
    """Declare a cohort, a saved filter over a memory store: create it, or update it where it differs.

    The cohort is known by its store, name and labels, so a second run changes nothing, and a changed
    ``criteria`` changes it. The criteria are checked against the store's traits before anything is sent. A
    lost reply creates no second one. Cohorts are a private beta at Twilio.

    Returns ``{"cohort_id", "change", "operation_id"}``; ``change`` is ``created``, ``updated`` or
    ``unchanged``.

    .. code-block:: python

        TwilioCohortOperator(
            task_id="lapsed",
            store_id="mem_store_01h9krwprkeee8fzqspvwy6nq8",
            display_name="lapsed, in Lisbon",
            criteria='profile.trait.Orders.lapsed == true && profile.trait.Contact.city == "Lisbon"',
            labels={"team": "crm"},
        )

    https://www.twilio.com/docs/cohorts

    :param store_id: the memory store (a template)
    :param display_name: its name (a template)
    :param criteria: CEL over ``profile.trait.<group>.<trait>`` and ``profile.address.<type>`` (a template)
    :param labels: up to 10, which are part of what tells it from others (a template)
    :param description: for people (a template); left out, it stays as it is
    :param timeout: seconds, or a timedelta, to wait for a change that Twilio makes later
    :param twilio_conn_id: the connection, of type ``twilio``
    """

    template_fields: Sequence[str] = (
        *TwilioOperator.template_fields,
        "store_id",
        "display_name",
        "criteria",
        "labels",
        "description",
    )

    def __init__(
        self,
        *,
        store_id: str,
        display_name: str,
        criteria: str,
        labels: Mapping[str, str] | None = None,
        description: str | None = None,
        timeout: timedelta | float = 600.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.store_id = store_id
        self.display_name = display_name
        self.criteria = criteria
        self.labels = labels
        self.description = description
        self.timeout: float = seconds(timeout)

    def execute(self, context: Context) -> dict[str, Any]:
        from airflow_provider_twilio_comms._core.profiles.cohorts import declare
        from airflow_provider_twilio_comms._core.sending.ledger import send_id

        ti: Any = context["ti"]
        run = f"{ti.dag_id}|{ti.run_id}|{ti.task_id}|{ti.map_index}"

        def declaration() -> Any:
            return declare(
                self.store_id,
                self.display_name,
                self.criteria,
                self.labels or {},
                self.description,
                lambda text: send_id(f"{run}|{text}"),
            )

        with failing_fast():
            done = self.hook.run(declaration())
            if done.operation_id:
                self._wait(done.operation_id)
            if done.cohort_id is None:  # its operation does not name it
                done = done._replace(cohort_id=self.hook.run(declaration()).cohort_id)
        self.log.info("The cohort %s is %s", done.cohort_id, done.change)
        return {"cohort_id": done.cohort_id, "change": done.change, "operation_id": done.operation_id}

    def _wait(self, operation_id: str) -> None:
        from airflow_provider_twilio_comms._tasks.waiting import CohortTaskWait

        now = time.time()
        wait = CohortTaskWait([operation_id], now + self.timeout, now, 2.0)
        wait.verdict(wait.run(self.hook, to_the_end=True))


class TwilioCohortSnapshotOperator(TwilioOperator):
    """Take a snapshot of a cohort, the fixed list of its members now, and wait until it is there.

    An account may take 100 snapshots a day, so a retry waits for the one that an earlier try has taken, also
    if its reply was lost; only a cleared task takes another. With ``min_profiles`` and ``max_profiles`` the
    task fails where the group is suspiciously small or large, before anybody is texted.

    Returns ``{"cohort_snapshot_id", "profile_count"}``, and with an output ``output_path`` or ``table``.

    .. code-block:: python

        TwilioCohortSnapshotOperator(
            task_id="group",
            cohort_id="{{ ti.xcom_pull('lapsed')['cohort_id'] }}",
            min_profiles=100,
            max_profiles=50_000,
        )

    https://www.twilio.com/docs/cohorts/concepts/snapshots

    :param cohort_id: the cohort (a template); or give ``store_id`` and ``criteria``
    :param store_id: a memory store, for a snapshot without a cohort (a template)
    :param criteria: CEL, for a snapshot without a cohort (a template)
    :param labels: up to 9 labels of your own; the tenth is the provider's (a template)
    :param min_profiles: fail below so many profiles
    :param max_profiles: fail above so many profiles
    :param output_path: a file for the ids of the profiles, JSON lines or Parquet (a template)
    :param sql_conn_id: a connection to a database for the ids, instead of a file (a template)
    :param table: the table there, with the columns ``profile_id`` and ``cohort_snapshot_id`` (a template)
    :param create_table: make the table where there is none
    :param timeout: seconds, or a timedelta, for the wait
    :param poll_interval: seconds, or a timedelta, between two looks
    :param deferrable: wait in the triggerer; ``[operators] default_deferrable`` if left out
    :param initial_delay: seconds before a deferred task may resume
    :param twilio_conn_id: the connection, of type ``twilio``
    """

    template_fields: Sequence[str] = (
        *TwilioOperator.template_fields,
        "cohort_id",
        "store_id",
        "criteria",
        "labels",
        "output_path",
        "sql_conn_id",
        "table",
    )

    def __init__(
        self,
        *,
        cohort_id: str | None = None,
        store_id: str | None = None,
        criteria: str | None = None,
        labels: Mapping[str, str] | None = None,
        min_profiles: int | None = None,
        max_profiles: int | None = None,
        output_path: str | None = None,
        sql_conn_id: str | None = None,
        table: str | None = None,
        create_table: bool = False,
        timeout: timedelta | float = 3600.0,
        poll_interval: timedelta | float = 5.0,
        deferrable: bool | None = None,
        initial_delay: float = INITIAL_DELAY,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if (cohort_id is None) == (store_id is None or criteria is None):
            fix = "Give a cohort_id, or a store_id with its criteria"
            raise InvalidInput.at("cohort_id", "is not the one source", fix)
        if bool(sql_conn_id) != bool(table) or (output_path and table):
            fix = "Give output_path, or sql_conn_id and table"
            raise InvalidInput.at("output_path", "is not the one place for the ids", fix)
        self.cohort_id = cohort_id
        self.store_id = store_id
        self.criteria = criteria
        self.labels = labels
        self.min_profiles = min_profiles
        self.max_profiles = max_profiles
        self.output_path = output_path
        self.sql_conn_id = sql_conn_id
        self.table = table
        self.create_table = create_table
        self.timeout: float = seconds(timeout)
        self.poll_interval: float = seconds(poll_interval)
        self.deferrable: bool = or_default(deferrable)
        self.initial_delay = initial_delay

    def execute(self, context: Context) -> dict[str, Any]:
        with failing_fast():
            taken = self._take(context)
            if taken.operation_id is None:
                from airflow_provider_twilio_comms._core.profiles.cohorts import completed

                assert taken.snapshot is not None
                snapshot = self.hook.run(completed(taken.snapshot, self.timeout))
                return self._result(snapshot.id, snapshot.profile_count)
            context["ti"].xcom_push(SENT, taken.operation_id)
            wait = self._task_wait(taken.operation_id)
            outcome = wait.run(self.hook, to_the_end=not self.deferrable)
            if outcome is None:
                self.defer(
                    trigger=wait.trigger(self.twilio_conn_id),
                    method_name="execute_complete",
                    timeout=wait.backstop,
                )
        return self.execute_complete(context, outcome)

    def execute_complete(self, context: Context, event: Any) -> dict[str, Any]:
        """Resume with the trigger's event."""
        ti: Any = context["ti"]
        operation_id = ti.xcom_pull(task_ids=self.task_id, key=SENT, map_indexes=ti.map_index)
        with failing_fast():
            operation = self._task_wait(operation_id).verdict(event)[operation_id]
            if operation.cohort_snapshot_id is None:
                raise InvalidInput.at("cohort_id", f"{operation_id} names no snapshot", "Ask Twilio")
            return self._result(operation.cohort_snapshot_id, operation.profile_count)

    def _take(self, context: Context) -> Taken:
        """Take the snapshot, or find the one of an earlier try of this task; a clear takes another."""
        from airflow_provider_twilio_comms._core.profiles.cohorts import Taken, check_criteria, take_snapshot
        from airflow_provider_twilio_comms._core.sending.ledger import send_id
        from airflow_provider_twilio_comms._tasks.shared_keys import installation_id

        ti: Any = context["ti"]
        store: Any = context.get("task_state_store")
        noted: Mapping[str, Any] = (store.get(_NOTED) if store is not None else None) or {}
        clears = int(getattr(ti, "max_tries", 0) or 0)
        if noted.get("clears", clears) != clears:
            noted = {}
        if noted.get("operation_id"):
            return Taken(noted["operation_id"])
        name = f"{installation_id()}|{ti.dag_id}|{ti.run_id}|{ti.task_id}|{ti.map_index}|{clears}"
        mark = send_id(name)
        if self.store_id is not None and self.criteria is not None:
            self.hook.run(check_criteria(self.store_id, self.criteria))
        begun = bool(noted) or (store is None and ti.try_number > 1)
        if store is not None:
            store.set(_NOTED, {"clears": clears})
        source = {"cohort_id": self.cohort_id, "store_id": self.store_id, "criteria": self.criteria}
        given = {key: value for key, value in source.items() if value is not None}
        taken = self.hook.run(take_snapshot(mark, given, self.labels or {}, begun=begun))
        if store is not None and taken.operation_id:
            store.set(_NOTED, {"clears": clears, "operation_id": taken.operation_id})
        return taken

    def _task_wait(self, operation_id: str) -> CohortTaskWait:
        from airflow_provider_twilio_comms._tasks.waiting import CohortTaskWait

        now = time.time()
        return CohortTaskWait([operation_id], now + self.timeout, now, self.poll_interval, self.initial_delay)

    def _result(self, snapshot_id: str, count: int | None) -> dict[str, Any]:
        """Check the size, and write the ids where they are wanted."""
        from airflow_provider_twilio_comms._core.profiles.cohorts import check_size

        self.log.info("The snapshot %s has %s profiles", snapshot_id, count)
        check_size(count, self.min_profiles, self.max_profiles)
        result: dict[str, Any] = {"cohort_snapshot_id": snapshot_id, "profile_count": count}
        if self.output_path or self.table:
            result["written"] = self._write_members(snapshot_id)
            result["output_path" if self.output_path else "table"] = self.output_path or self.table
        return result

    def _write_members(self, snapshot_id: str) -> int:
        """Write the ids of the snapshot's profiles, several partitions read together; returns how many."""
        from airflow_provider_twilio_comms._core.profiles.cohorts import Member, read_members
        from airflow_provider_twilio_comms._tasks.table_files import open_rows

        place = (self.output_path, self.sql_conn_id, self.table, self.create_table)
        with open_rows(Member, "profile_id", *place) as write:

            def take(ids: list[str]) -> None:
                if ids:
                    write([Member(each, snapshot_id) for each in ids])

            return self.hook.run(read_members(snapshot_id, take))
