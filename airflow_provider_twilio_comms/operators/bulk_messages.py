"""Send one message to many people, once."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar, cast

from airflow.sdk import XComArg
from airflow.sdk.configuration import conf
from airflow.sdk.exceptions import AirflowSkipException

from airflow_provider_twilio_comms._core.waiting.criteria import Criteria, WaitFor
from airflow_provider_twilio_comms._core.xcom_keys import SENT
from airflow_provider_twilio_comms._tasks.arguments import count_of
from airflow_provider_twilio_comms._tasks.operator import Hidden, failing_fast
from airflow_provider_twilio_comms._tasks.send_operator import TwilioSendOperator
from airflow_provider_twilio_comms.exceptions import (
    InvalidInput,
    NoRecipients,
    SendUncertain,
    TwilioError,
    scrub,
)
from airflow_provider_twilio_comms.hooks import _metrics
from airflow_provider_twilio_comms.links.console import KEY

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_provider_twilio_comms._core.planning.groups import SeenGroup
    from airflow_provider_twilio_comms._core.planning.plan import Plan
    from airflow_provider_twilio_comms._core.recipients.reader import Reader
    from airflow_provider_twilio_comms._core.sending.bulk import BulkRequest, BulkSend
    from airflow_provider_twilio_comms._core.sending.ledger import Ledger
    from airflow_provider_twilio_comms._tasks.waiting import OperationsTaskWait
    from airflow_provider_twilio_comms.client.config import Config

__all__ = ["TwilioBulkMessageOperator"]

Content = str | Mapping[str, Any]
MOST_AT_ONCE = 200
MAX_RECIPIENTS = 10_000  # of one request, as api/comms says, which DAG files need not import


class TwilioBulkMessageOperator(TwilioSendOperator):
    """Send one message to up to millions of people, each of them once, and wait until it is delivered.

    Everything is checked before anything is sent. Recipients go out in requests of up to 10,000; a retry, a
    killed worker, a lost reply or a cleared task continues where the send stopped. Returns
    ``{"operation_ids", "status", "recipients", "rejected", "stats"}``, where ``status`` is ``ACCEPTED``,
    ``COMPLETED`` or ``DRY_RUN`` and ``stats`` are Twilio's counters added up, or None without a wait.

    .. code-block:: python

        TwilioBulkMessageOperator(
            task_id="remind",
            recipients="s3://aws@campaigns/{{ ds }}.csv",
            number_column="phone",
            content="Hi {{ name | default: 'there' }}, your table is booked for {{ time }}.",
            sender="comms_senderpool_01h9krwprkeee8fzqspvwy6nq8",
            wait_for="delivered",
            min_delivered=0.95,
        )

    https://www.twilio.com/docs/bulk-messaging/api/message-resource

    :param recipients: numbers; mappings in Twilio's form (``address``, ``channel``, ``variables``); flat
        mappings, one column the number and the others variables; an XComArg or any iterable of these; or the
        path or URI of a CSV, JSON lines or Parquet file, read as a stream through ``ObjectStoragePath``
        (a template). Never shown in the UI. Rows with ``profile_id`` and ``memory_store_id`` are stored
        people; ``{"cohort_snapshot_id": ...}`` or ``{"cohort_id": ...}``, with ``variables`` for all of them,
        or a list of these, are groups, each in a request of its own (in preview only)
    :param content: a text (Liquid, not Jinja: see ``render_content``); ``{"text", "media"}``;
        ``{"content_sid"}``, whose values are the recipients' variables; or ``{"modules"}``
    :param sender: a number, ``whatsapp:+...``, ``rcs:<agent>``, a sender id, a sender pool id, or a mapping;
        left out, the connection's ``default_sender``
    :param number_column: the column with the number, in files, tables and flat mappings
    :param channel: the recipients' channel: ``phone`` (SMS, MMS and RCS) or ``whatsapp``
    :param tags: up to eight tags of your own
    :param wait_for: ``accepted``, ``processed``, or ``delivered``
    :param min_delivered: with ``delivered``, the share (0.98) or count (100) that has to arrive; else all
    :param max_failed: the share or count that may fail
    :param recipients_per_request: at most so many in one request, to go in smaller steps; the same for every
        try, since a request is what is sent once
    :param requests_at_once: at most so many requests are under way together; as many are in memory, and of as
        many a try that is killed leaves the outcome to be looked up
    """

    template_fields: Sequence[str] = (
        *TwilioSendOperator.template_fields,
        "number_column",
        "sender",
        "tags",
    )
    noun: ClassVar[str] = "chunk"
    ends: ClassVar[tuple[str, ...]] = ("accepted", "processed", "delivered")
    usual_timeout: ClassVar[timedelta] = timedelta(hours=24)
    usual_poll_interval: ClassVar[float] = 30.0
    _counts: Mapping[str, Any] = MappingProxyType({})
    _inspected: frozenset[str] | set[str] = frozenset()

    def __init__(
        self,
        *,
        recipients: Iterable[Any] | str | XComArg,
        content: Content | XComArg,
        sender: str | Mapping[str, Any] | None = None,
        number_column: str | None = None,
        channel: str = "phone",
        tags: Mapping[str, str] | None = None,
        wait_for: WaitFor = "processed",
        min_delivered: float | int | None = None,
        max_failed: float | int | None = None,
        recipients_per_request: int = MAX_RECIPIENTS,
        requests_at_once: int = 4,
        **kwargs: Any,
    ) -> None:
        super().__init__(wait_for=wait_for, **kwargs)
        self.recipients: Hidden[Iterable[Any] | str] = self.hide(
            recipients, rendered=_holds_template(recipients)
        )
        self.content: Hidden[Content] = self.hide(content, rendered=self.render_content)
        self.sender = sender
        self.number_column = number_column
        self.channel = channel
        self.tags = tags
        self.criteria: Criteria = Criteria(cast("WaitFor", self.wait_for), min_delivered, max_failed)
        self.recipients_per_request: int = count_of(
            "recipients_per_request", recipients_per_request, MAX_RECIPIENTS
        )
        self.requests_at_once: int = count_of("requests_at_once", requests_at_once, MOST_AT_ONCE)

    def execute(self, context: Context) -> dict[str, Any] | None:
        with failing_fast():
            ledger = self.ledger(context)
            if ledger.done:
                self.log.info("Everything was sent on an earlier try: %s", f"{ledger.done.recipients:,}")
                return self._wait(context, ledger.ids, ledger.done.recipients, ledger.done.rejected, ledger)
            real = self.check_schedule(context, ledger)
            hook = self.hook
            request = self.request(hook.config)
            groups = self._inspect_groups(hook.config)
            with self.planned(request, context, ledger, real) as plan:
                self._count_groups(plan, groups)
                if hook.config.dry_run or not real:
                    self.log.info("Dry run: nothing was sent")
                    return self._result(context, [], "DRY_RUN", plan.recipients, plan.rejected, None)
                operation_ids = hook.run(self._bulk_send(context, plan, request, ledger).once())
            return self._wait(context, operation_ids, plan.recipients, plan.rejected, ledger)

    def execute_complete(self, context: Context, event: dict[str, Any]) -> dict[str, Any]:
        """Resume with the trigger's event."""
        with failing_fast():
            sent = self.sent_before(context) or self._sent(context)
            wait = self._task_wait(sent["operation_ids"], sent["recipients"], time.time())
            stats = wait.verdict(event, self.hook)
        return self._result(context, **sent, status="COMPLETED", stats=stats.to_dict())

    def _sent(self, context: Context) -> dict[str, Any]:
        """What the ledger knows of what was sent, where XCom has lost it."""
        ledger = self.ledger(context)
        if not ledger.done:
            raise TwilioError(
                "neither XCom nor the ledger knows what was sent; a later try goes on from there"
            )
        done = ledger.done
        return {"operation_ids": ledger.ids, "recipients": done.recipients, "rejected": done.rejected}

    def snapshots(self) -> str | None:
        """As the task says, else as ``[twilio] snapshot_path`` of Airflow's configuration does."""
        return self.snapshot_path or conf.get("twilio", "snapshot_path", fallback="") or None

    def in_flight(self, sent: Any) -> tuple[Sequence[str], int]:
        return (sent["operation_ids"], sent["recipients"]) if sent else ([], 0)

    def request(self, config: Config) -> BulkRequest:
        from airflow_provider_twilio_comms._core.sending.bulk import BulkRequest

        return BulkRequest.checked(
            content=self.content.value,
            sender=self.sender or config.default_sender,
            channel=self.channel,
            send_at=self.send_at,
            tags=self.tags,
        )

    def rows(self) -> Iterable[Any]:
        """The recipients as given, one by one."""
        from airflow_provider_twilio_comms._core.planning.groups import groups_in
        from airflow_provider_twilio_comms._core.recipients.sources import rows_of
        from airflow_provider_twilio_comms._tasks.object_storage import resolved

        recipients = self.recipients.value
        return rows_of(groups_in(recipients) or resolved(recipients), self.number_column)

    def _inspect_groups(self, config: Config) -> list[SeenGroup]:
        """Look at the groups that are sent to, if any: what can be known of them before anything is sent."""
        from airflow_provider_twilio_comms._core.planning.groups import check_count, groups_in, inspect
        from airflow_provider_twilio_comms._core.recipients.number_sets import compile_patterns

        groups = groups_in(self.recipients.value)
        if not groups:
            return []
        if config.comms_version != "preview":
            raise InvalidInput.at(
                "recipients",
                "are groups, which version v1 of the API does not take: nothing was sent",
                "Set comms_version to preview in the connection",
            )
        allows: list[Callable[[str], object]] = [config.allows] if config.allowed_recipients else []
        if self._guarded[1]:
            allows.append(compile_patterns(self.allowed_recipients.value))
        seen = self.hook.run(inspect(groups, allows))
        check_count(seen, self.limits.recipients, self.unseen == "allow")
        if not any(group.count is None or group.count for group in seen):
            raise self.nobody(f"{', '.join(group.id for group in seen)} hold nobody")
        self.recipients_per_request = 1  # whether Twilio takes several at once is not known
        self._inspected = {group.id for group in seen} if allows else set()
        return seen

    def nobody(self, problem: str) -> Exception:
        """The end of a task whose groups are empty."""
        if self.on_empty == "skip":
            return AirflowSkipException(problem)
        return NoRecipients.at("recipients", problem, "Look at the cohort's criteria and the store")

    def _count_groups(self, plan: Plan, seen: Sequence[SeenGroup]) -> None:
        """Count a group's profiles where Twilio tells them, not its one entry."""
        if seen:
            plan.chunks = [
                replace(chunk, count=group.count or 1, exact=False)
                for chunk, group in zip(plan.chunks, seen, strict=False)
            ]

    def also(self, allows: Callable[[str], object]) -> Callable[[str], bool]:
        return lambda name: name in self._inspected or bool(allows(name))

    def reader(self, request: BulkRequest, config: Config) -> Reader:
        from airflow_provider_twilio_comms._core.recipients.reader import Reader

        return Reader(
            column=self.number_column,
            channel=request.channel,
            region=self.default_region,
            allows=self.also(config.allows) if config.allowed_recipients else None,
            needed=request.needed,
        )

    def _bulk_send(self, context: Context, plan: Plan, request: BulkRequest, ledger: Ledger) -> BulkSend:
        from airflow_provider_twilio_comms._core.sending.bulk import BulkSend

        self._sending = sending = BulkSend(
            plan,
            ledger,
            request,
            self.on_unknown,
            self.unknown_after,
            self.schedule(request.send_at),
            at_once=self.requests_at_once,
            **self.settings(context, ledger, plan),
        )
        sending.counting = _metrics.counting("messages", conn_id=self.twilio_conn_id, kind="bulk")
        return sending

    def _wait(
        self, context: Context, operation_ids: list[str], recipients: int, rejected: int, ledger: Ledger
    ) -> dict[str, Any]:
        """Wait as asked for, in the triggerer if that takes longer than a look."""
        ti = context["ti"]
        sent: dict[str, Any] = {
            "operation_ids": operation_ids,
            "recipients": recipients,
            "rejected": rejected,
        }
        ti.xcom_push(SENT, sent)
        if operation_ids:
            ti.xcom_push(KEY, self.hook.config.messages_page(operation_ids[0]))
        if self.criteria.wait_for == "accepted":
            return self._result(context, **sent, status="ACCEPTED", stats=None)
        if not operation_ids:
            raise SendUncertain(
                f"{recipients:,} recipients were taken as sent, and Twilio's list shows none of their "
                f"messages: nobody can tell whether they are {self.criteria.wait_for}. A later try looks "
                "again, and sends nothing again"
            )
        wait = self._task_wait(operation_ids, recipients, ledger.held)
        outcome = wait.run(self.hook, to_the_end=not self.deferrable)
        if outcome is None:
            self.defer(
                trigger=wait.trigger(self.twilio_conn_id),
                method_name="execute_complete",
                timeout=wait.backstop,
            )
        stats = wait.verdict(outcome, self.hook)
        return self._result(context, **sent, status="COMPLETED", stats=stats.to_dict())

    def _task_wait(self, operation_ids: list[str], recipients: int, start: float) -> OperationsTaskWait:
        from airflow_provider_twilio_comms._tasks.waiting import OperationsTaskWait

        now = time.time()
        deadline = max(now, start) + self.timeout
        return OperationsTaskWait(
            operation_ids, self.criteria, deadline, now, self.poll_interval, self.initial_delay, recipients
        )

    def _result(
        self,
        context: Context,
        operation_ids: list[str],
        status: str,
        recipients: int,
        rejected: int,
        stats: dict[str, int] | None,
    ) -> dict[str, Any]:
        """The result, which events of the task's assets carry too. Of a group Twilio counts the people."""
        recipients = max(recipients, (stats or {}).get("recipients", 0))
        result = {
            "operation_ids": operation_ids,
            "status": status,
            "recipients": recipients,
            "rejected": rejected,
            "stats": stats,
        }
        self.announce(context, result)
        return result

    def announce(self, context: Context, result: Mapping[str, Any]) -> None:
        """Put the counts into the events of the task's outlets, and keep them for lineage, which is
        asked for in the same process."""
        from airflow_provider_twilio_comms._tasks.openlineage import announced

        counts = {name: result[name] for name in ("status", "recipients", "rejected", "stats")}
        counts["operations"] = len(result["operation_ids"])
        self._counts = counts
        announced(context, self.outlets, counts)

    def lineage_inputs(self) -> Iterable[tuple[str, str]]:
        """Where recipients come from, as OpenLineage names it: a file, or nothing that has a name."""
        from airflow_provider_twilio_comms._tasks.openlineage import dataset_of_file

        recipients = self.recipients.value
        return [dataset_of_file(recipients)] if isinstance(recipients, str) else ()

    def lineage_sql(self) -> str | None:
        """The statement that reads the recipients."""
        return None

    def get_openlineage_facets_on_start(self) -> Any:
        """The inputs and the output. None where the OpenLineage provider is not installed."""
        return self._lineage({})

    def get_openlineage_facets_on_complete(self, task_instance: Any) -> Any:
        """The same with the counts."""
        return self._lineage(self._counts)

    def _lineage(self, counts: Mapping[str, Any]) -> Any:
        from airflow_provider_twilio_comms._tasks.openlineage import lineage

        sent = 0 if counts.get("status") == "DRY_RUN" else counts.get("recipients")
        output = (f"twilio://{self.hook.config.account_sid}", "messages")
        found = lineage(self.lineage_inputs(), [output], sent)
        if found is not None and (sql := self.lineage_sql()):
            from airflow.providers.common.compat.openlineage.facet import SQLJobFacet

            found.job_facets["sql"] = SQLJobFacet(query=scrub(sql))
        return found


def _holds_template(recipients: Any) -> bool:
    """Whether recipients are a template: a path, or a group or a list of numbers in which one is."""
    if isinstance(recipients, Mapping):
        return _holds_template(list(recipients.values()))
    if isinstance(recipients, list):
        return any(isinstance(given, str) and "{{" in given for given in recipients)
    return isinstance(recipients, str)
