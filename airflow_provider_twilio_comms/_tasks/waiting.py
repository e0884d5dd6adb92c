"""Wait for operations and messages in a task: one look first, then without a worker, then the verdict."""

from __future__ import annotations

import logging
import time
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, Protocol, TypeVar

from airflow_provider_twilio_comms._core.reporting import reasons
from airflow_provider_twilio_comms._core.waiting import (
    cohort_operations,
    messages,
    operations,
    sent_messages,
)
from airflow_provider_twilio_comms._core.waiting.base import Ending, Until, Waiting, finished, polled
from airflow_provider_twilio_comms._core.waiting.cohort_operations import (
    CohortOutcome,
    CohortWait,
    SeenOperation,
)
from airflow_provider_twilio_comms._core.waiting.criteria import Criteria
from airflow_provider_twilio_comms._core.waiting.messages import MessageOutcome, MessageWait
from airflow_provider_twilio_comms._core.waiting.operations import Outcome, Wait
from airflow_provider_twilio_comms._core.waiting.results import describe_result, describe_statuses
from airflow_provider_twilio_comms._core.waiting.sent_messages import (
    SentMessages,
    SentOutcome,
    SentWait,
    SidSet,
    Target,
)
from airflow_provider_twilio_comms._tasks.operator import INITIAL_DELAY, PADDING
from airflow_provider_twilio_comms._tasks.receipts import told_codes
from airflow_provider_twilio_comms.api.comms.operations import Stats
from airflow_provider_twilio_comms.client import sync
from airflow_provider_twilio_comms.exceptions import DeliveryFailed, TwilioError
from airflow_provider_twilio_comms.hooks import _metrics

if TYPE_CHECKING:
    from airflow.triggers.base import BaseTrigger

    from airflow_provider_twilio_comms.hooks.twilio import TwilioHook
    from airflow_provider_twilio_comms.triggers.cohort_operations import TwilioCohortOperationsTrigger
    from airflow_provider_twilio_comms.triggers.messages import (
        TwilioMessagesTrigger,
        TwilioSentMessagesTrigger,
    )
    from airflow_provider_twilio_comms.triggers.operations import TwilioOperationsTrigger

log: logging.Logger = logging.getLogger(__name__)

E = TypeVar("E", bound=Ending)


class TaskWait(ABC, Generic[E]):
    """The wait of a task, in its worker or in the triggerer."""

    deadline: float
    poll_interval: float

    @abstractmethod
    def wait(self) -> Waiting[Any, E]:
        """The wait as the domain knows it."""

    @abstractmethod
    def trigger(self, conn_id: str) -> BaseTrigger:
        """The trigger that waits in a worker's place."""

    @abstractmethod
    def seen(self, wait: Any) -> str:
        """Describe in counts what a wait has seen so far."""

    def tell(self, wait: Waiting[Any, E], pause: float) -> None:
        """Log that the task waits, and what it sees, when that has changed."""
        seen = self.seen(wait) or "nothing yet"
        if wait.told != seen:
            wait.told = seen
            log.info("Waiting. Seen so far: %s; the next look is in %.0f s", seen, pause)

    @property
    def backstop(self) -> timedelta:
        """The time-out for ``defer(timeout=)``, which never tells the trigger."""
        return timedelta(seconds=max(0.0, self.deadline - time.time())) + PADDING

    def run(self, hook: TwilioHook, *, to_the_end: bool) -> E | None:
        """Wait in this process: to the end, or just for one look."""
        wait = self.wait()
        if not to_the_end:
            outcome = hook.run(polled(wait))
            if outcome is None:
                seen = self.seen(wait) or "nothing yet"
                log.info("Waiting in the triggerer, without a worker. Seen so far: %s", seen)
            return outcome
        tell = partial(self.tell, wait)
        while (outcome := hook.run(finished(wait, self.poll_interval, tell))) is None:
            hook = reread(hook)
        return outcome


def slowed(interval: float) -> float:
    """The poll interval of a trigger, in seconds: longer where webhooks wake the tasks that wait."""
    from airflow.sdk.configuration import conf

    if not conf.getboolean("twilio", "webhook_wakes", fallback=False):
        return interval
    return max(interval, float(conf.getfloat("twilio", "push_poll_interval", fallback=300.0)))


class WaitResult(NamedTuple):
    """The result of a wait: Twilio's counts, failures by its code, and how many of them no code explains."""

    stats: dict[str, int]
    codes: dict[str, int]
    unexplained: int

    @staticmethod
    def of(stats: Stats, codes: Mapping[int, int]) -> WaitResult:
        counted = {str(code): count for code, count in codes.items()}
        return WaitResult(stats.to_dict(), counted, reasons.count_unexplained(stats, codes))


IMPATIENT = 5.0  # seconds within which an answer about a reason has to begin


def ask_reasons(hook: TwilioHook, failed: Mapping[str, Stats]) -> dict[int, int]:
    """Count Twilio's codes of the messages of these operations that failed, as far as asking goes well.

    It is bounded in number and time, a request is not repeated, and no error of it is one of the task.
    """
    if not failed:
        return {}
    try:
        config = replace(hook.config, timeout=min(hook.config.timeout, IMPATIENT), max_attempts=1)
        with sync.connected(config) as client:
            return client.run(reasons.count_codes(failed, told_codes(failed)))
    except Exception as error:  # whatever it is, the messages were sent and waited for
        log.warning("Twilio could not be asked for the reasons of failures: %s", error, exc_info=True)
        return {}


def tell_result(line: str, lost: int) -> None:
    """Log how a wait ended: a warning where messages failed, whatever the task's colour."""
    log.log(logging.WARNING if lost else logging.INFO, "%s", line)


def tell_ends(statuses: Sequence[str], good: str, asked: int) -> None:
    """Log how a wait for things without counts ended, each of which has a status."""
    reached = statuses.count(good)
    line = describe_result(good, reached, asked, "all")
    if others := describe_statuses(status for status in statuses if status != good):
        line += f" Others: {others}."
    tell_result(line, asked - reached)


def tell_accepted(accepted: int, asked: int, wait_for: str) -> None:
    """Log the result of a send that nobody waits for: its messages may still fail."""
    log.info(
        "Twilio has accepted %s of %s messages. With wait_for=%r the task does not look at what becomes of "
        "them",
        f"{accepted:,}",
        f"{asked:,}",
        wait_for,
    )


def reread(hook: TwilioHook) -> TwilioHook:
    """Read a connection again after a failed poll: a new hook where it has changed, else the same one."""
    fresh = type(hook)(hook.twilio_conn_id)
    try:
        return fresh if fresh.config != hook.config else hook
    except TwilioError as error:
        log.warning("The connection is used as it was: %r: %s", hook.twilio_conn_id, error)
        return hook


@dataclass(frozen=True)
class OperationsTaskWait(TaskWait[Outcome]):
    """The wait of a task for operations.

    ``deadline`` and ``since`` are seconds since 1970, ``poll_interval`` and ``initial_delay`` seconds.
    """

    operation_ids: list[str]
    criteria: Criteria
    deadline: float
    since: float
    poll_interval: float
    initial_delay: float = INITIAL_DELAY
    recipients: int = 0  # that were sent to, as far as that is known here

    def wait(self) -> Wait:
        until: Until = "delivered" if self.criteria.wait_for == "delivered" else "processed"
        return Wait(self.operation_ids, until, self.deadline, self.since, self.criteria.enough)

    def seen(self, wait: Wait) -> str:
        return operations.describe_counts(operations.total(wait.known.values())) if wait.known else ""

    def trigger(self, conn_id: str) -> TwilioOperationsTrigger:
        from airflow_provider_twilio_comms.triggers.operations import TwilioOperationsTrigger

        wait = self.wait()
        return TwilioOperationsTrigger(
            operation_ids=wait.operation_ids,
            twilio_conn_id=conn_id,
            until=wait.until,
            deadline=wait.deadline,
            since=wait.since,
            enough=wait.enough,
            poll_interval=slowed(self.poll_interval),
            not_before=time.time() + self.initial_delay,
        )

    def verdict(self, outcome: Outcome | Mapping[str, Any] | None, hook: TwilioHook) -> WaitResult:
        """Return the counts and codes, if they are good enough; a failure carries them too."""
        if not isinstance(outcome, Outcome):
            outcome = Outcome.from_event(outcome)
        tags = {"conn_id": hook.twilio_conn_id, "kind": "bulk"}
        _metrics.count("twilio.waits.ended", 1, end=outcome.status, **tags)
        stats = operations.total(outcome.operations.values())
        codes = ask_reasons(hook, _failed(outcome))
        tell_result(reasons.result_line(self.criteria, stats, self.recipients, codes), stats.lost)
        try:
            operations.judge(self.criteria, outcome, self.operation_ids, self.recipients)
        except DeliveryFailed as error:
            if type(error) is DeliveryFailed:  # no later try waits for them again
                _metrics.arrived(stats.arrived, reasons.by_verdict(stats, codes), **tags)
            raise reasons.explain(error, stats, codes) from None
        _metrics.arrived(stats.arrived, reasons.by_verdict(stats, codes), **tags)
        return WaitResult.of(stats, codes)


def _failed(outcome: Outcome) -> dict[str, Stats]:
    """The counts of the operations in which messages failed; nothing where the wait ended by an error."""
    if outcome.status == "error":
        return {}
    counts = {name: operation.stats for name, operation in outcome.operations.items()}
    return {name: stats for name, stats in counts.items() if stats.failed or stats.undelivered}


@dataclass(frozen=True)
class MessagesTaskWait(TaskWait[MessageOutcome]):
    """The wait of a task for single messages.

    ``deadline`` and ``since`` are seconds since 1970, ``poll_interval`` and ``initial_delay`` seconds.
    """

    sids: list[str]
    until: str
    deadline: float
    since: float
    poll_interval: float
    initial_delay: float = INITIAL_DELAY

    def wait(self) -> MessageWait:
        return MessageWait(self.sids, self.until, self.deadline, self.since)

    def seen(self, wait: MessageWait) -> str:
        return describe_statuses(each.status for each in wait.known.values())

    def trigger(self, conn_id: str, *, cancel_on_kill: bool = False) -> TwilioMessagesTrigger:
        from airflow_provider_twilio_comms.triggers.messages import TwilioMessagesTrigger

        return TwilioMessagesTrigger(
            sids=self.sids,
            twilio_conn_id=conn_id,
            until=self.until,
            deadline=self.deadline,
            since=self.since,
            poll_interval=slowed(self.poll_interval),
            not_before=time.time() + self.initial_delay,
            cancel_on_kill=cancel_on_kill,
        )

    def verdict(self, outcome: MessageOutcome | Mapping[str, Any] | None, hook: TwilioHook) -> dict[str, int]:
        """Return how many messages have which status, if that is good enough."""
        if not isinstance(outcome, MessageOutcome):
            outcome = MessageOutcome.from_event(outcome)
        tags = {"conn_id": hook.twilio_conn_id, "kind": "message"}
        _metrics.count("twilio.waits.ended", 1, end=outcome.status, **tags)
        if outcome.status == "done":  # else a later try waits for them again
            arrived = sum(status in ("delivered", "read") for status in outcome.statuses.values())
            _metrics.arrived(arrived, messages.by_verdict(outcome), **tags)
        wait = self.wait()
        tell_result(*messages.result_line(wait, outcome))
        return messages.judge(wait, outcome)


class SidLedger(Protocol):
    """The ledger of a classic bulk send, as far as its SIDs go."""

    def sids(self) -> Iterable[str]: ...


@dataclass(frozen=True)
class ClassicTaskWait(TaskWait[SentOutcome]):
    """The wait of a task for the messages of a classic bulk send.

    ``messages`` are those of the send's result, and ``ledger`` the task's own, if it can be read: the SIDs
    are read there, else from the file that ``messages`` names. ``deadline`` and ``since`` are seconds since
    1970, ``poll_interval`` and ``initial_delay`` seconds.
    """

    messages: Mapping[str, Any]
    criteria: Criteria
    deadline: float
    since: float
    poll_interval: float
    initial_delay: float = INITIAL_DELAY
    ledger: SidLedger | None = None

    @cached_property
    def sent(self) -> SentMessages:
        return SentMessages.of(self.messages)

    @cached_property
    def _sids(self) -> SidSet | None:
        from airflow_provider_twilio_comms.triggers._sid_files import read_sids

        return read_sids(self.sent) if self.ledger is None else SidSet(self.ledger.sids())

    def wait(self) -> SentWait:
        until: Until = "delivered" if self.criteria.wait_for == "delivered" else "processed"
        target = Target(self.sent, until)
        return SentWait(target, self.deadline, self.since, self.criteria.enough, lambda _: self._sids)

    def seen(self, wait: SentWait) -> str:
        return ", ".join(operations.describe_counts(tally.stats) for tally in wait.known.values())

    def trigger(self, conn_id: str) -> TwilioSentMessagesTrigger:
        from airflow_provider_twilio_comms.triggers.messages import TwilioSentMessagesTrigger

        wait = self.wait()
        return TwilioSentMessagesTrigger(
            messages=dict(self.messages),
            twilio_conn_id=conn_id,
            until=wait.target.until,
            deadline=wait.deadline,
            since=wait.since,
            enough=wait.enough,
            poll_interval=self.poll_interval,
            not_before=time.time() + self.initial_delay,
        )

    def verdict(self, outcome: SentOutcome | Mapping[str, Any] | None, hook: TwilioHook) -> WaitResult:
        """Return the counts and codes, if they are good enough; a failure carries them too.

        Counts of a trigger that could not tell its messages from others are taken again, by SID.
        """
        if not isinstance(outcome, SentOutcome):
            outcome = SentOutcome.from_event(outcome)
        if self._is_in_doubt(outcome):
            outcome = self.run(hook, to_the_end=True) or outcome
        tags = {"conn_id": hook.twilio_conn_id, "kind": "bulk"}
        _metrics.count("twilio.waits.ended", 1, end=outcome.status, **tags)
        counted = outcome.tally.stats if outcome.tally else Stats()
        codes = outcome.tally.codes if outcome.tally else {}
        if missing := outcome.missing_of(self.sent):
            log.warning("%s messages are not in Twilio's list, and count as failed", f"{missing:,}")
        if outcome.tally:
            tell_result(reasons.result_line(self.criteria, counted, self.sent.asked, codes), counted.lost)
        try:
            stats = sent_messages.judge(self.criteria, outcome, self.sent)
        except DeliveryFailed as error:
            if type(error) is DeliveryFailed and outcome.tally:  # no later try waits for them again
                _metrics.arrived(counted.arrived, reasons.by_verdict(counted, codes), **tags)
            raise reasons.explain(error, counted, codes) from None
        _metrics.arrived(stats.arrived, reasons.by_verdict(stats, codes), **tags)
        return WaitResult.of(stats, codes)

    def _is_in_doubt(self, outcome: SentOutcome) -> bool:
        tally = outcome.tally
        return outcome.status != "error" and not (tally and tally.exact) and self._sids is not None


@dataclass(frozen=True)
class CohortTaskWait(TaskWait[CohortOutcome]):
    """The wait of a task for operations on cohorts.

    ``deadline`` and ``since`` are seconds since 1970, ``poll_interval`` and ``initial_delay`` seconds.
    """

    operation_ids: list[str]
    deadline: float
    since: float
    poll_interval: float
    initial_delay: float = INITIAL_DELAY

    def wait(self) -> CohortWait:
        return CohortWait(self.operation_ids, self.deadline, self.since)

    def seen(self, wait: CohortWait) -> str:
        return describe_statuses(each.status for each in wait.known.values())

    def trigger(self, conn_id: str) -> TwilioCohortOperationsTrigger:
        from airflow_provider_twilio_comms.triggers.cohort_operations import TwilioCohortOperationsTrigger

        return TwilioCohortOperationsTrigger(
            operation_ids=self.operation_ids,
            twilio_conn_id=conn_id,
            deadline=self.deadline,
            since=self.since,
            poll_interval=self.poll_interval,
            not_before=time.time() + self.initial_delay,
        )

    def verdict(self, outcome: CohortOutcome | Mapping[str, Any] | None) -> Mapping[str, SeenOperation]:
        """The operations, if all have ended well."""
        if not isinstance(outcome, CohortOutcome):
            outcome = CohortOutcome.from_event(outcome)
        tell_ends([each.status for each in outcome.operations.values()], "COMPLETED", len(self.operation_ids))
        return cohort_operations.judge(self.operation_ids, outcome)
