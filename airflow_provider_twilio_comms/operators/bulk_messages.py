"""Send one message to many people, once."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar, Literal, cast

from airflow.sdk import XComArg
from airflow.sdk.configuration import conf

from airflow_provider_twilio_comms._core.waiting.criteria import Criteria, WaitFor
from airflow_provider_twilio_comms._core.wording import pluralize
from airflow_provider_twilio_comms._core.xcom_keys import SENT
from airflow_provider_twilio_comms._tasks.arguments import check_sender, count_of, one_of
from airflow_provider_twilio_comms._tasks.campaigns.operator import TwilioCampaignOperator
from airflow_provider_twilio_comms._tasks.operator import Hidden, failing_fast
from airflow_provider_twilio_comms._tasks.sender_errors import naming_sender
from airflow_provider_twilio_comms.exceptions import (
    InvalidInput,
    SendUncertain,
    TwilioError,
    scrub,
)

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_provider_twilio_comms._core.planning.groups import SeenGroup
    from airflow_provider_twilio_comms._core.planning.plan import Plan
    from airflow_provider_twilio_comms._core.recipients.reader import Reader
    from airflow_provider_twilio_comms._core.sending.ledger import Done, Ledger, Outline
    from airflow_provider_twilio_comms._tasks.generations.base import Generation
    from airflow_provider_twilio_comms._tasks.waiting import ClassicTaskWait, OperationsTaskWait, WaitResult
    from airflow_provider_twilio_comms.client.config import Config

__all__ = ["TwilioBulkMessageOperator"]

MOST_AT_ONCE = 500
MAX_RECIPIENTS = 10_000  # of one request, as api/comms says, which DAG files need not import


class TwilioBulkMessageOperator(TwilioCampaignOperator):
    """Send one message to up to millions of people, each of them once, and wait until it is delivered.

    Everything is checked before anything is sent. Recipients go out in requests of up to 10,000; a retry, a
    killed worker, a lost reply or a cleared task continues where the send stopped. Opt-outs that Twilio's
    Advanced Opt-Out keeps for a messaging service do not hold here: the Communications API does not handle
    them natively, so keep them in the table of the connection's ``consent``, or give them to ``suppress``.
    Returns ``{"operation_ids", "status", "recipients", "rejected", "stats", "codes", "unexplained"}``:
    ``status`` is ``ACCEPTED``, ``COMPLETED`` or ``DRY_RUN``, ``stats`` are Twilio's counters added up,
    ``codes`` counts failures by Twilio's code and ``unexplained`` those without; without a wait, these three
    are None.

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
        ``{"content_sid"}``, whose values are the recipients' variables, for WhatsApp, list pickers and quick
        replies too; ``{"cards": [...], "text": ...}`` and the other names of
        :class:`~airflow_provider_twilio_comms.api.comms.rich_content.Rcs`, for rich content without a
        template, the text going to phones without RCS; or Twilio's own ``{"modules"}``. Checked when the DAG
        is parsed
    :param sender: a number, ``whatsapp:+...``, ``rcs:<agent>``, a sender id, a sender pool id, or a mapping:
        ``{"sender_pool_id": ..., "channels": ["RCS", "SMS"]}`` tries the channels of the pool in this order,
        and ``{"channels": [...]}`` those of the connection's default pool. Left out, the connection's
        ``default_sender``
    :param twilio_chooses_sender: name no sender, not even the connection's, and let Twilio choose one of the
        account's
    :param number_column: the column with the number, in files, tables and flat mappings
    :param channel: the recipients' channel: ``phone`` (SMS, MMS and RCS) or ``whatsapp``
    :param tags: up to eight tags of your own
    :param generation: the API that sends: ``comms`` (the Communications API), or ``classic``: a request for
        each recipient, through a number, a messaging service (``MG...``) or ``whatsapp:+...`` as ``sender``;
        left out, the connection's ``bulk_generation``, else ``comms``. A classic text is rendered here; the
        result's ``operation_ids`` are empty then, beside them ``generation`` and ``messages``: counts,
        and the window of Twilio's list in which the messages are
    :param options: with ``classic``, Twilio's other parameters in snake_case: ``validity_period``,
        ``status_callback``, ``shorten_urls`` ...
    :param wait_for: ``accepted``, ``processed``, or ``delivered``. Twilio keeps operations for seven days, so
        a ``send_at`` further than six days ahead (seven, less ``timeout`` if that is shorter than a day) goes
        with ``accepted`` only, save with ``classic``
    :param min_delivered: with ``delivered``, the share (0.98) or count (100) that has to arrive; else all
    :param max_failed: the share (0.02) or count (20) that may fail; if left out, 0.05 with
        ``wait_for="processed"``
    :param recipients_per_request: at most so many in one request, to go in smaller steps; the same for every
        try, since a request is what is sent once
    :param requests_at_once: at most so many requests are under way together, 4 if left out, or 100 with
        ``classic``; as many are in memory, and of as many a try that is killed leaves the outcome to be
        looked up
    """

    template_fields: Sequence[str] = (
        *TwilioCampaignOperator.template_fields,
        "number_column",
        "sender",
        "tags",
    )
    noun: ClassVar[str] = "request"
    ends: ClassVar[tuple[str, ...]] = ("accepted", "processed", "delivered")
    usual_timeout: ClassVar[timedelta] = timedelta(hours=24)
    usual_poll_interval: ClassVar[float] = 30.0
    _counts: Mapping[str, Any] = MappingProxyType({})
    _looked_at: frozenset[str] | set[str] = frozenset()

    def __init__(
        self,
        *,
        recipients: Iterable[Any] | str | XComArg,
        sender: str | Mapping[str, Any] | None = None,
        twilio_chooses_sender: bool = False,
        number_column: str | None = None,
        channel: str = "phone",
        tags: Mapping[str, str] | None = None,
        generation: Literal["comms", "classic"] | None = None,
        options: Mapping[str, Any] | None = None,
        wait_for: WaitFor = "processed",
        min_delivered: float | int | None = None,
        max_failed: float | int | None = None,
        recipients_per_request: int = MAX_RECIPIENTS,
        requests_at_once: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(wait_for=wait_for, **kwargs)
        self.recipients: Hidden[Iterable[Any] | str] = self.hide(
            recipients, rendered=_holds_template(recipients)
        )
        if sender is not None and twilio_chooses_sender:
            fix = "Leave one of them out"
            raise InvalidInput.at("twilio_chooses_sender", "goes without a sender, and one is given", fix)
        check_sender(sender)
        self.sender = sender
        self.twilio_chooses_sender = twilio_chooses_sender
        self.number_column = number_column
        self.channel = channel
        self.tags = tags
        self.criteria: Criteria = Criteria(cast("WaitFor", self.wait_for), min_delivered, max_failed)
        self.recipients_per_request: int = count_of(
            "recipients_per_request", recipients_per_request, MAX_RECIPIENTS
        )
        self.requests_at_once: int | None = (
            None if requests_at_once is None else count_of("requests_at_once", requests_at_once, MOST_AT_ONCE)
        )
        self.generation = generation
        if generation is not None:
            one_of("generation", generation, "comms", "classic")
        self.options = options

    def execute(self, context: Context) -> dict[str, Any] | None:
        from airflow_provider_twilio_comms._tasks.groups import count_profiles

        with failing_fast():
            ledger = self.ledger(context)
            if ledger.done:
                told = pluralize(ledger.done.recipients, "recipient")
                self.log.info("Everything was sent on an earlier try: %s", told)
                return self._wait(context, self._sent(ledger), ledger)
            real = self.check_schedule(context, ledger)
            hook = self.hook
            api = self._api
            request = self.request(hook.config)
            groups = self._groups(hook.config)
            with self.planned(request, context, ledger, real) as plan:
                count_profiles(plan, groups)
                if not (groups or ledger.begun):  # of a group nobody knows the length
                    for warning in self.criteria.check_counts(plan.recipients):
                        self.log.warning("%s", warning)
                if hook.config.dry_run or not real:
                    self.log.info("Dry run: nothing was sent")
                    return self._result(context, self._counted(plan, [], split=plan), "DRY_RUN")
                self._sending = sending = api.sending(context, plan, request, ledger)
                given = "sender" if self.sender else None
                with naming_sender(given, self.twilio_conn_id, self.twilio_chooses_sender):
                    ids = api.run(sending)
                sent = self._counted(plan, ids, sending.summary(), plan)
            return self._wait(context, sent, ledger)

    def execute_complete(self, context: Context, event: dict[str, Any]) -> dict[str, Any]:
        """Resume with the trigger's event."""
        with failing_fast():
            ledger = self.ledger(context)
            sent = self.sent_before(context) or self._sent(ledger)
            wait = self._task_wait(sent, time.time(), ledger)
            found = wait.verdict(event, self.hook)
        return self._result(context, sent, "COMPLETED", found)

    def _sent(self, ledger: Ledger) -> dict[str, Any]:
        """Read from the ledger what was sent."""
        if not ledger.done:
            raise TwilioError(
                "neither XCom nor the ledger knows what was sent; a later try goes on from there"
            )
        from airflow_provider_twilio_comms._tasks.generations.classic import sent_of

        outline = ledger.head.outline if ledger.head else None
        return self._counted(ledger.done, ledger.ids, sent_of(self, ledger), outline)

    def _counted(
        self,
        of: Plan | Done,
        operation_ids: list[str],
        messages: Mapping[str, Any] | None = None,
        split: Plan | Outline | None = None,
    ) -> dict[str, Any]:
        """Ids and counts of the send, as the task keeps them while it waits."""
        sent: dict[str, Any] = {
            "operation_ids": operation_ids,
            "recipients": of.recipients,
            "rejected": of.rejected,
            **self.split_report(split),
        }
        return sent if messages is None else {**sent, "messages": dict(messages)}

    def snapshots(self) -> str | None:
        """As the task says, else as ``[twilio] snapshot_path`` of Airflow's configuration does."""
        return self.snapshot_path or conf.get("twilio", "snapshot_path", fallback="") or None

    def in_flight(self, sent: Any) -> tuple[Sequence[str], int]:
        return (sent["operation_ids"], sent["recipients"]) if sent else ([], 0)

    def rows(self) -> Iterable[Any]:
        """The recipients as given, one by one."""
        from airflow_provider_twilio_comms._core.planning.groups import groups_in
        from airflow_provider_twilio_comms._core.recipients.sources import rows_of
        from airflow_provider_twilio_comms._tasks.object_storage import resolved

        recipients = self.recipients.value
        return rows_of(groups_in(recipients) or resolved(recipients), self.number_column)

    def _groups(self, config: Config) -> list[SeenGroup]:
        """Look at the groups that are sent to, before anything is sent."""
        from airflow_provider_twilio_comms._tasks.groups import look_at_groups

        allowed = self.allowed_recipients.value if self._guarded[1] else None
        seen = look_at_groups(self, self.recipients.value, allowed, config)
        if seen:
            self.recipients_per_request = 1  # whether Twilio takes several at once is not known
            if allowed is not None or config.allowed_recipients:
                self._looked_at = {group.id for group in seen}
        return seen

    def also(self, allows: Callable[[str], object]) -> Callable[[str], bool]:
        return lambda name: name in self._looked_at or bool(allows(name))

    @property
    def _api(self) -> Generation:
        """The generation of the API that sends, as the task or else the connection says."""
        if (self.generation or self.hook.config.bulk_generation) == "classic":
            from airflow_provider_twilio_comms._tasks.generations.classic import ClassicGeneration

            return ClassicGeneration(self)
        from airflow_provider_twilio_comms._tasks.generations.comms import CommsGeneration

        return CommsGeneration(self)

    def request(self, config: Config) -> Any:
        """The message to everyone: a ``BulkRequest``, or a ``ClassicRequest``."""
        return self._api.request(config)

    def part_size(self, ledger: Ledger) -> int:
        return self._api.part_size(ledger)

    def parts_per_file(self, plan: Plan) -> int:
        return self._api.parts_per_file(plan)

    def check_last(self, last: datetime, now: float) -> None:
        """Refuse what Twilio does not schedule, and a wait that would outlast its results."""
        self._api.check_last(last, now)

    def complete_report(self, report: dict[str, Any], request: Any, context: Context) -> None:
        super().complete_report(report, request, context)
        self._api.complete_report(report, request, context)

    def per_second(self, context: Context) -> float | None:
        return self._api.per_second(context)

    @property
    def soonest(self) -> timedelta:
        return self._api.ahead

    def reader(self, request: Any, config: Config) -> Reader:
        return self._api.reader(request, config)

    def _wait(self, context: Context, sent: dict[str, Any], ledger: Ledger) -> dict[str, Any]:
        """Wait as asked for, in the triggerer if that takes longer than a look."""
        from airflow_provider_twilio_comms._tasks.waiting import tell_accepted

        context["ti"].xcom_push(SENT, sent)
        if not sent["recipients"]:
            self.log.warning("Nobody of this send may be texted any more: nothing was sent")
            return self._result(context, sent, "ACCEPTED")
        self.leave_link(context, next(iter(sent["operation_ids"]), None))
        if "messages" in sent:
            from airflow_provider_twilio_comms._tasks.generations.classic import check_accepted

            check_accepted(sent["messages"])
        if self.criteria.wait_for == "accepted":
            tell_accepted(_accepted(sent), sent["recipients"], "accepted")
            return self._result(context, sent, "ACCEPTED")
        if not (sent["operation_ids"] or sent.get("messages", {}).get("sent")):
            raise SendUncertain(
                f"{sent['recipients']:,} recipients were taken as sent, and Twilio's list shows none of "
                f"their messages: nobody can tell whether they are {self.criteria.wait_for}. A later try "
                "looks again, and sends nothing again; wait_for='accepted' goes on without them"
            )
        wait = self._task_wait(sent, ledger.held, ledger)
        outcome: Any = wait.run(self.hook, to_the_end=not self.deferrable)
        if outcome is None:
            self.defer(
                trigger=wait.trigger(self.twilio_conn_id),
                method_name="execute_complete",
                timeout=wait.backstop,
            )
        return self._result(context, sent, "COMPLETED", wait.verdict(outcome, self.hook))

    def _task_wait(
        self, sent: Mapping[str, Any], start: float, ledger: Ledger
    ) -> OperationsTaskWait | ClassicTaskWait:
        from airflow_provider_twilio_comms._tasks.waiting import ClassicTaskWait, OperationsTaskWait

        now = time.time()
        deadline = max(now, start) + self.timeout
        if "messages" in sent:
            return ClassicTaskWait(
                sent["messages"],
                self.criteria,
                deadline,
                now,
                self.poll_interval,
                self.initial_delay,
                ledger,
            )
        return OperationsTaskWait(
            sent["operation_ids"],
            self.criteria,
            deadline,
            now,
            self.poll_interval,
            self.initial_delay,
            sent["recipients"],
        )

    def _result(
        self,
        context: Context,
        sent: Mapping[str, Any],
        status: str,
        found: WaitResult | None = None,
    ) -> dict[str, Any]:
        """The result, which events of the task's assets carry too. Of a group Twilio counts the people."""
        result = {
            "operation_ids": sent["operation_ids"],
            "status": status,
            "recipients": max(sent["recipients"], found.stats.get("recipients", 0) if found else 0),
            "rejected": sent["rejected"],
            **(found._asdict() if found else dict.fromkeys(("stats", "codes", "unexplained"))),
        }
        if "campaign" in sent:
            result["campaign"] = sent["campaign"]
        if "messages" in sent:
            result |= {"generation": "classic", "messages": sent["messages"]}
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
        """The source of the recipients, as OpenLineage names it: a file, or nothing that has a name."""
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
    """Tell whether recipients are a template: a path, or a group or a list of numbers in which one is."""
    if isinstance(recipients, Mapping):
        return _holds_template(list(recipients.values()))
    if isinstance(recipients, list):
        return any(isinstance(given, str) and "{{" in given for given in recipients)
    return isinstance(recipients, str)


def _accepted(sent: Mapping[str, Any]) -> int:
    """Count what Twilio accepted: of a classic send it refuses single recipients."""
    refused = sum(sent["messages"]["refused"].values()) if "messages" in sent else 0
    return int(sent["recipients"]) - refused
