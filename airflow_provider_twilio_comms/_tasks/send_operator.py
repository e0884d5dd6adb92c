"""Base of the operators that send: the shared arguments, the guards, and what a killed try leaves behind."""

from __future__ import annotations

import time
from abc import abstractmethod
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, ClassVar, Literal, TypeVar

from airflow.sdk import XComArg
from airflow.sdk.configuration import conf
from airflow.sdk.exceptions import (
    AirflowFailException,
    AirflowSkipException,
    TaskDeferralError,
    TaskDeferralTimeout,
)

from airflow_provider_twilio_comms._core.planning.limits import Limits, OnDuplicate
from airflow_provider_twilio_comms._core.planning.quiet_hours import QuietHours, Schedule
from airflow_provider_twilio_comms._core.waiting.criteria import OnUnknown
from airflow_provider_twilio_comms._core.wording import pluralize
from airflow_provider_twilio_comms._core.xcom_keys import SENT
from airflow_provider_twilio_comms._tasks.arguments import duration_of, one_of, or_default, send_at_of
from airflow_provider_twilio_comms._tasks.campaigns.guarding import TwilioGuardedOperator
from airflow_provider_twilio_comms._tasks.operator import INITIAL_DELAY, Hidden
from airflow_provider_twilio_comms.exceptions import InvalidInput, NoRecipients, TwilioError
from airflow_provider_twilio_comms.links.console import TwilioConsoleLink

if TYPE_CHECKING:
    from airflow.sdk import BaseOperatorLink, Context, RetryPolicy

    from airflow_provider_twilio_comms._core.planning.plan import Ladder, Plan
    from airflow_provider_twilio_comms._core.planning.screening import Screening
    from airflow_provider_twilio_comms._core.planning.texts import Unaddressed
    from airflow_provider_twilio_comms._core.recipients.reader import Reader
    from airflow_provider_twilio_comms._core.sending.ledger import Ledger
    from airflow_provider_twilio_comms._core.sending.send_once import PlannedSend
    from airflow_provider_twilio_comms._tasks.object_storage import Folder
    from airflow_provider_twilio_comms.client.config import Config

REPORT = "preflight"  # the XCom of the report
SHOWN = 20  # ids that the log names
Suppressed = str | Sequence[Any] | Mapping[str, Any] | None


R = TypeVar("R", bound="Unaddressed")


class TwilioSendOperator(TwilioGuardedOperator):
    """Base of the operators that send. What they count is in the log and in the XCom ``preflight``.

    :param send_at: when Twilio is to send it: an aware datetime, or a template that renders to one in
        ISO 8601 with its offset
    :param wait_for: how far the messages have to come before the task succeeds
    :param timeout: seconds, or a timedelta, for the wait; counted from ``send_at``, if given. Left out, a day
        for a list and an hour for single messages
    :param poll_interval: seconds, or a timedelta, between two looks; 30 for a list, 15 for single messages
    :param deferrable: wait in the triggerer; ``[operators] default_deferrable`` if left out
    :param initial_delay: seconds before a deferred task may resume
    :param send_key: the idempotency key of this send over the whole Twilio account (a template): the same
        key, content and people are sent once in seven days, by whichever task or run; left out, each task
        instance is a send of its own
    :param on_clear: what a cleared task does: ``resume`` sends what is not sent, ``resend`` sends anew
    :param on_unknown: what to do about a request whose outcome nobody can tell: ``fail``, ``resend`` (it may
        text people twice) or ``assume_sent`` (it may leave people out)
    :param unknown_after: seconds for which Twilio's list is searched for such a request, since lists lag
    :param render_content: render the content with Jinja. Left out, a single message's is, and a list's is
        not: that is Liquid, which shares ``{{ }}`` and then has to stand in ``{% raw %}``
    :param dry_run: check, count and plan everything, and send nothing
    :param on_backfill: what to do in a backfill: ``skip`` the task, since a backfill that texts last year's
        reminders is the classic accident; ``dry_run``; or ``send``
    :param max_age: seconds, or a timedelta, after the end of the data interval; later, the task is skipped
        (and fails where an earlier try has sent a part already)
    :param default_region: the country (``US``) of numbers written without a country code
    :param on_invalid_recipient: ``fail`` before anything is sent, or ``skip`` and count them
    :param on_duplicate: ``equal`` sends rows that are wholly equal once, counts the others as duplicates, and
        sends all rows of one number with different variables, with a warning that counts them; ``first`` and
        ``last`` send one row of each number; ``keep`` sends all rows. Left out, ``equal`` for a list and
        ``first`` for single messages
    :param suppress: numbers not to text: numbers; the path or URI of a file of them (one a line, CSV, JSON
        lines or Parquet; a template); ``{"sql", "conn_id"}``, whose first column they are; or a list of these
    :param allowed_recipients: patterns such as ``+1500555*``; whoever is outside is left out
    :param on_missing_variable: where somebody lacks a variable that has no default: ``warn`` or ``fail``.
        One that everybody lacks is always an error: it is misspelt, or meant for Airflow
    :param max_recipients: refuse to send to more than so many
    :param max_segments: refuse to send more than so many segments in all; counts every text
    :param max_cost: refuse to send what may cost more, by the account's price list; counts every text
    :param quiet_hours: such as ``"21:00-08:00"``, on each recipient's own clock, or with one time zone for
        all, ``"21:00-08:00 Europe/Lisbon"``: whoever would be woken is scheduled for the end of it. A number
        that can be in several time zones is quiet with any of them
    :param unseen: what to do about stored people and groups that a guard cannot see into: ``refuse``, or
        ``allow`` to send to them without it. ``allowed_recipients`` is never left out
    :param rejects_path: where those left out are written as JSON lines with the reason (a template)
    :param snapshot_path: a folder in which what was planned is kept, numbers included, so that a later try
        sends exactly that, whatever the source says by then (a template)
    :param on_empty: where there is nobody to text: ``fail`` or ``skip`` the task
    """

    template_fields: Sequence[str] = (
        *TwilioGuardedOperator.template_fields,
        "rejects_path",
        "snapshot_path",
        "send_at",
        "send_key",
    )
    operator_extra_links: Collection[BaseOperatorLink] = (TwilioConsoleLink(),)
    counts_all: bool = False  # whether texts and countries are counted even where no limit asks
    recipients_per_request: int = 1
    # What the kinds of send differ in, where the author leaves an argument out.
    noun: ClassVar[str]
    ends: ClassVar[tuple[str, ...]]  # what ``wait_for`` may be
    usual_timeout: ClassVar[timedelta]
    usual_poll_interval: ClassVar[float]
    usual_duplicates: ClassVar[OnDuplicate] = "equal"
    usual_render: ClassVar[bool] = False
    schedule_ahead: ClassVar[timedelta] = timedelta()
    _sending: PlannedSend[Any] | None = None
    _resumed: Any = None

    def __init__(
        self,
        *,
        wait_for: str,
        send_at: datetime | str | None = None,
        timeout: timedelta | float | None = None,
        poll_interval: timedelta | float | None = None,
        deferrable: bool | None = None,
        initial_delay: float = INITIAL_DELAY,
        send_key: str | None = None,
        on_clear: Literal["resume", "resend"] = "resume",
        on_unknown: OnUnknown = "fail",
        unknown_after: float = 90.0,
        render_content: bool | None = None,
        dry_run: bool = False,
        on_backfill: Literal["skip", "dry_run", "send"] = "skip",
        max_age: timedelta | float | None = None,
        default_region: str | None = None,
        on_invalid_recipient: Literal["fail", "skip"] = "fail",
        on_duplicate: OnDuplicate | None = None,
        suppress: Suppressed | XComArg = None,
        allowed_recipients: Sequence[str] | None = None,
        on_missing_variable: Literal["warn", "fail"] = "warn",
        max_recipients: int | None = None,
        max_segments: int | None = None,
        max_cost: float | str | None = None,
        quiet_hours: str | None = None,
        unseen: Literal["refuse", "allow"] = "refuse",
        rejects_path: str | None = None,
        snapshot_path: str | None = None,
        on_empty: Literal["fail", "skip"] = "fail",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        # Airflow has retry policies from 3.3 on.
        if getattr(self, "retry_policy", self) is None and "retry_policy" not in kwargs:
            from airflow_provider_twilio_comms.retry_policy import TwilioRetryPolicy

            self.retry_policy: RetryPolicy | None = TwilioRetryPolicy()
        self.send_at: datetime | str | None = send_at_of(send_at)
        self.wait_for: str = one_of("wait_for", wait_for, *self.ends)
        self.timeout: float = duration_of("timeout", self.usual_timeout if timeout is None else timeout)
        self.poll_interval: float = duration_of(
            "poll_interval", self.usual_poll_interval if poll_interval is None else poll_interval
        )
        self.deferrable: bool = or_default(deferrable)
        self.initial_delay: float = duration_of("initial_delay", initial_delay)
        self.send_key = send_key
        self.on_clear: Literal["resume", "resend"] = one_of("on_clear", on_clear, "resume", "resend")
        self.on_unknown: OnUnknown = one_of("on_unknown", on_unknown, "fail", "resend", "assume_sent")
        self.unknown_after: float = duration_of("unknown_after", unknown_after)
        self.render_content: bool = self.usual_render if render_content is None else render_content
        self.sends_nothing = dry_run  # BaseOperator.dry_run is something else
        self.on_backfill: Literal["skip", "dry_run", "send"] = one_of(
            "on_backfill", on_backfill, "skip", "dry_run", "send"
        )
        self.max_age: float | None = None if max_age is None else duration_of("max_age", max_age)
        self.default_region = default_region
        self.on_invalid_recipient: Literal["fail", "skip"] = one_of(
            "on_invalid_recipient", on_invalid_recipient, "fail", "skip"
        )
        self.on_duplicate: OnDuplicate = one_of(
            "on_duplicate", on_duplicate or self.usual_duplicates, "equal", "first", "last", "keep"
        )
        self._guarded = (suppress is not None, allowed_recipients is not None)  # also if they come out empty
        self.suppress: Hidden[Suppressed] = self.hide(suppress)
        self.allowed_recipients: Hidden[Sequence[str] | None] = self.hide(allowed_recipients)
        self.on_missing_variable: Literal["warn", "fail"] = one_of(
            "on_missing_variable", on_missing_variable, "warn", "fail"
        )
        self.limits: Limits = Limits.checked(max_recipients, max_segments, max_cost)
        self.quiet_hours: QuietHours | None = None if quiet_hours is None else QuietHours.parse(quiet_hours)
        self.unseen: Literal["refuse", "allow"] = one_of("unseen", unseen, "refuse", "allow")
        self.rejects_path = rejects_path
        self.snapshot_path = snapshot_path
        self.on_empty: Literal["fail", "skip"] = one_of("on_empty", on_empty, "fail", "skip")

    # What ends a try

    def on_kill(self) -> None:
        """Post nothing more, and say what goes on at Twilio. Also where ``execution_timeout`` is over."""
        if self._sending:
            self._sending.stop()
            self._leave("Killed", self._sending.ids, self._sending.sent)
        else:
            self._leave("Killed", *self.in_flight(self._resumed))

    def resume_execution(self, next_method: str, next_kwargs: dict[str, Any] | None, context: Context) -> Any:
        """Airflow's way in after a deferral, also where its own time-out has ended that."""
        try:
            return super().resume_execution(next_method, next_kwargs, context)
        except (TaskDeferralError, TaskDeferralTimeout):
            self._leave("Airflow has ended the wait", *self.in_flight(self.sent_before(context)))
            raise

    def sent_before(self, context: Context) -> Any:
        """Read from XCom what was sent before the deferral."""
        ti = context["ti"]
        self._resumed = ti.xcom_pull(task_ids=self.task_id, key=SENT, map_indexes=ti.map_index)
        return self._resumed

    @abstractmethod
    def in_flight(self, sent: Any) -> tuple[Sequence[str], int]:
        """Twilio's ids and the number of recipients, of what the task has kept; ``sent`` may be None."""

    def cancel_scheduled(self, ids: Sequence[str]) -> None:
        """Cancel what Twilio has not sent yet, where the author wants that."""

    def _leave(self, why: str, ids: Sequence[str], people: int) -> None:
        named = ", ".join(ids[:SHOWN]) + (f" and {len(ids) - SHOWN} more" if len(ids) > SHOWN else "")
        if ids or people:
            text = f"what was sent to {pluralize(people, 'recipient')} goes on at Twilio" + (
                f": {named}" if ids else ""
            )
        else:
            text = "nothing that is known of is under way at Twilio"
        self.log.warning("%s; %s. A later try knows what was sent, and sends the rest only", why, text)
        if ids:
            self.cancel_scheduled(ids)

    # Whether and when this try may send

    def ledger(self, context: Context) -> Ledger:
        """The ledger of this send."""
        from airflow_provider_twilio_comms._tasks.task_state import ledger_of

        if self.send_key is not None and not str(self.send_key).strip():
            fix = "Check the template that renders to it, or leave send_key out"
            raise InvalidInput.at("send_key", "is empty: nothing was sent", fix)
        return ledger_of(context, self.send_key, anew=self.on_clear == "resend", noun=self.noun)

    def settings(self, context: Context, ledger: Ledger, plan: Plan) -> dict[str, Any]:
        """Arguments of a send under way that come from its task."""
        from airflow_provider_twilio_comms._tasks.task_state import moved_here, shared_key_of

        return {
            "shared": shared_key_of(ledger, self.send_key, self.unknown_after),
            "ask": moved_here(context, ledger),
            "snapshot": plan.snapshot,
            "guard": plan.guard,
        }

    def check_schedule(self, context: Context, ledger: Ledger) -> bool:
        """Tell whether this is the real thing or a dry run. Skips the task where it may do neither."""
        real = not self.sends_nothing
        if _run_type(context) == "backfill":
            self.log.info("This run is a backfill, and on_backfill=%r", self.on_backfill)
            if self.on_backfill == "skip":
                raise AirflowSkipException(
                    "Nothing is sent in a backfill; on_backfill='send' sends, 'dry_run' counts"
                )
            real = real and self.on_backfill == "send"
        if real and self.max_age is not None:
            self._check_age(context, self.max_age, ledger)
        return real

    def _check_age(self, context: Context, max_age: float, ledger: Ledger) -> None:
        end = context.get("data_interval_end") or getattr(context.get("dag_run"), "run_after", None)
        if end is None or time.time() - end.timestamp() <= max_age:
            return
        late = f"The data interval ended at {end.isoformat()}, more than max_age={max_age:,.0f} s ago"
        if ledger.begun:
            raise AirflowFailException(
                f"{late}, and an earlier try has sent a part. The rest is not sent: raise max_age to send it"
            )
        raise AirflowSkipException(f"{late}: nothing is sent")

    def schedule(self, send_at: datetime | None) -> Schedule:
        """Make the schedule of the parts: send_at and quiet hours."""
        return Schedule(send_at, self.quiet_hours, self.schedule_ahead)

    def check_last(self, last: datetime, now: float) -> None:
        """Refuse a send whose last part goes out later than Twilio takes, or than can be waited for."""

    # Who gets it

    @abstractmethod
    def rows(self) -> Iterable[Any]:
        """The recipients as given, one by one."""

    @abstractmethod
    def reader(self, request: Any, config: Config) -> Reader:
        """Make the reader that turns rows into recipients."""

    @contextmanager
    def plan(self, request: Unaddressed, context: Context, ledger: Ledger, real: bool) -> Iterator[Plan]:
        """Everything read, checked and counted, or what an earlier try kept of it."""
        from airflow_provider_twilio_comms._core.planning import snapshot
        from airflow_provider_twilio_comms._tasks.planning import planning

        config = self.hook.config
        folder = self.snapshot_folder(ledger) if real and not config.dry_run else None
        earlier = snapshot.load(folder, ledger) if folder is not None else None
        if earlier is not None:
            self.log.info("Taking the plan of an earlier try: %s recipients", f"{earlier.recipients:,}")
            sent = {entry.fingerprint for entry in ledger.entries() if entry.state != "refused"}
            plan = snapshot.leave_out(earlier, self._barred(config), sent)
            self.guard_plan(plan, ledger)
            yield plan
            return
        counting = self.counts_all or not real or config.dry_run or self.limits.of_texts
        if counting or self.on_missing_variable == "fail":
            request = self._with_template(request)
        screening = self._screening(request, counting)
        try:
            with planning(
                self.rows(),
                self.reader(request, config),
                self.log,
                screening=screening,
                envelope=request.envelope,
                at_most=self.part_size(ledger),
                on_invalid=self.on_invalid_recipient,
                rejects_path=self.rejects_path,
                guarded=self.guarded(ledger, screening),
                ladder=self.ladder(context, ledger),
            ) as plan:
                self._check_plan(plan, request, screening, context)
                if folder is not None and not ledger.begun:
                    plan.snapshot = snapshot.save(folder, plan, self.parts_per_file(plan))
                    self._remove_old_snapshots(folder)
                yield plan
        except NoRecipients as error:
            if ledger.begun:  # what an earlier try was given is gone
                raise ledger.changed(None) from error
            if self.on_empty == "skip":
                raise AirflowSkipException(str(error)) from None
            raise

    def part_size(self, ledger: Ledger) -> int:
        """Recipients in a part at most."""
        return self.recipients_per_request

    def parts_per_file(self, plan: Plan) -> int:
        """Parts in a file of a kept plan."""
        return 1

    def ladder(self, context: Context, ledger: Ledger) -> Ladder | None:
        """Make what spreads the requests over time, if anything does."""
        return None

    def complete_report(self, report: dict[str, Any], request: Any, context: Context) -> None:
        """Add to the preflight's report what only this kind of send has."""

    def snapshots(self) -> str | None:
        """The folder in which plans are kept, if they are."""
        return self.snapshot_path

    def _remove_old_snapshots(self, folder: Folder) -> None:
        from airflow_provider_twilio_comms._core.planning import snapshot

        days = conf.getfloat("twilio", "snapshot_days", fallback=30.0)
        removed = snapshot.remove_old(folder, time.time() - days * 86_400.0) if days > 0 else 0
        if removed:
            self.log.info("Removed %d plans that were kept for more than %g days", removed, days)

    def snapshot_folder(self, ledger: Ledger) -> Folder | None:
        """The folder of this task instance's plan, which no other one has."""
        from airflow_provider_twilio_comms._tasks.object_storage import folder

        place = self.snapshots()
        if not place:
            return None
        old = ledger.head is not None and ledger.head.old > 0
        return folder(place, ledger.name if old else ledger.place)

    def _barred(self, config: Config) -> Callable[[Mapping[str, Any]], bool]:
        """Build the test for people who may not be texted now, whoever was in the plan then."""
        from airflow_provider_twilio_comms._core.planning.snapshot import barred
        from airflow_provider_twilio_comms._tasks.planning import load_suppressed

        leaves_out, _ = self._guarded
        numbers = load_suppressed(self.suppress.value, self.default_region) if leaves_out else None
        return barred(numbers, config.allows if config.allowed_recipients else None)

    def _with_template(self, request: R) -> R:
        """Read the content template at Twilio, and add its text and variables to the request."""
        from airflow_provider_twilio_comms._core.planning.texts import template_of

        if not request.template_sid:
            return request
        try:
            return request.with_template(self.hook.run(template_of(request.template_sid)))
        except TwilioError as error:
            if self.on_missing_variable == "fail":
                raise
            self.log.warning("The content template cannot be read, so its text is not counted: %s", error)
            return request

    def _screening(self, request: Unaddressed, counting: bool) -> Screening:
        """Build the screening: who is left out, and what is counted."""
        from airflow_provider_twilio_comms._core.planning.screening import Counts, Screening
        from airflow_provider_twilio_comms._core.recipients.number_sets import compile_patterns
        from airflow_provider_twilio_comms._tasks.planning import load_suppressed

        leaves_out, allows_some = self._guarded
        return Screening(
            duplicates=self.on_duplicate,
            suppressed=load_suppressed(self.suppress.value, self.default_region) if leaves_out else None,
            allows=self.also(compile_patterns(self.allowed_recipients.value)) if allows_some else None,
            limits=self.early_limits(self.limits),
            counts=Counts(request.text()) if counting else None,
            by_zone=self.by_zone,
        )

    def also(self, allows: Callable[[str], object]) -> Callable[[str], object]:
        """Make a rule that lets what was looked at before pass too."""
        return allows

    @property
    def by_zone(self) -> list[str]:
        """The arguments that hold on each recipient's own clock."""
        return ["quiet_hours"] if self.quiet_hours is not None and self.quiet_hours.zone is None else []

    def _asked_for_more(self, counting: bool) -> bool:
        """Tell whether the author asked for a guard or a count beyond the defaults."""
        asked = (counting, *self._guarded, self.quiet_hours, self.purpose, self.guards)
        unusual = self.on_duplicate != self.usual_duplicates
        return any(asked) or unusual or self.limits.recipients is not None

    def _check_plan(self, plan: Plan, request: Unaddressed, screening: Screening, context: Context) -> None:
        """Complete the report, show it, and refuse what is over a limit."""
        from airflow_provider_twilio_comms._core.planning.texts import absent_variables
        from airflow_provider_twilio_comms._tasks.groups import check_unseen
        from airflow_provider_twilio_comms._tasks.planning import cost_of, moment_of, table

        check_unseen(self, screening, self._guarded[0], self.guards)
        if plan.absent:
            raise absent_variables(plan.absent)
        if plan.lacking and self.on_missing_variable == "fail":
            names = ", ".join(f"{name} ({count:,})" for name, count in plan.lacking.items())
            problem = f"recipients lack variables that have no default: {names}"
            raise InvalidInput.at("content", problem, "Give them, or a default: {{ name | default: '...' }}")
        now = time.time()
        last = self.schedule(moment_of(self.send_at)).check(plan.chunks, now)
        if last is not None:
            self.check_last(last, now)
        if not (plan.rejected or self._asked_for_more(screening.counts is not None)):
            return
        plan.report = {
            "rows": plan.rows,
            "recipients": plan.recipients,
            "requests": len(plan.chunks),
            "rejected": plan.left_out(),
            "lacking": dict(plan.lacking),
            **self.guard_report(),
        }
        if screening.counts:
            plan.report |= screening.counts.to_dict()
            countries, counted = plan.report["countries"], plan.report["segments"]
            plan.report["cost"] = cost_of(self.hook, countries, self.limits) if counted else None
            abroad = screening.counts.media_elsewhere()
            if abroad:
                plan.report["mms_elsewhere"] = abroad
                self.log.warning(
                    "%s recipients of an MMS are outside the United States and Canada, where Twilio has no "
                    "MMS in most countries: they may get a text with a link, or nothing",
                    f"{abroad:,}",
                )
        self.complete_report(plan.report, request, context)
        context["ti"].xcom_push(REPORT, plan.report)
        self.log.info("%s", table(plan.report))
        self.limits.check(plan.report)


def _run_type(context: Context) -> str:
    kind: Any = getattr(context.get("dag_run"), "run_type", None)
    return str(getattr(kind, "value", kind))
