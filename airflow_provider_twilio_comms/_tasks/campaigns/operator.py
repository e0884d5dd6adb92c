"""Base of the operators that send to a list: when each recipient gets it, by pace and by local time."""

from __future__ import annotations

import time
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal

import msgspec
from airflow.sdk import XComArg

from airflow_provider_twilio_comms._core.campaigns.local_time import (
    Holidays,
    IfPassed,
    LocalTime,
    Window,
    parse_windows,
)
from airflow_provider_twilio_comms._core.campaigns.variants import Assignment, Split, varied
from airflow_provider_twilio_comms._core.planning.quiet_hours import Schedule
from airflow_provider_twilio_comms._tasks.arguments import content_of, one_of, pace_of, seconds
from airflow_provider_twilio_comms._tasks.campaigns.variants import check_holdout, check_variants, split_of
from airflow_provider_twilio_comms._tasks.operator import Hidden
from airflow_provider_twilio_comms._tasks.send_operator import TwilioSendOperator
from airflow_provider_twilio_comms.exceptions import InvalidInput

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_provider_twilio_comms._core.campaigns.ladder import Ladder
    from airflow_provider_twilio_comms._core.planning.plan import Plan
    from airflow_provider_twilio_comms._core.planning.screening import Screening
    from airflow_provider_twilio_comms._core.sending.ledger import Ledger, Outline

Content = str | Mapping[str, Any]
FARTHEST = timedelta(days=35)  # that Twilio schedules
MARGIN = timedelta(minutes=1)  # in which the first requests are made


class TwilioCampaignOperator(TwilioSendOperator):
    """Base of the operators that send to a list: the arguments that say when each recipient gets it.

    What these count from is ``send_at``, or else the moment at which the first try had read its list; a later
    try computes the same moments, and sends at once what is over by then.

    :param spread_over: spread the messages evenly over so many seconds, or a timedelta, as a ladder of
        requests that Twilio holds, so that no worker waits: a request a minute, or 500 in all. Hours in
        which it is closed (``quiet_hours``, ``send_window``, ``holidays``) do not count. The classic API
        needs a messaging service as sender
    :param messages_per_second: how many messages may go out in a second. With the Communications API this is
        a ladder as of ``spread_over``, in place of that. With ``classic``, how many may be given to Twilio
        in a second; left out, the sender's own rate in segments (1 for a number, 3 toll-free, 100 for a
        short code, 80 on a channel, the sum of its senders for a service); ``unlimited`` leaves all to
        Twilio's queue, and a 429 makes it slower. Mapped tasks of a run get an equal share each; other runs
        and DAGs are not reckoned with
    :param pace_by: with ``classic``, count ``messages`` or their ``segments`` for ``messages_per_second``
    :param send_at_local: a time on each recipient's own clock, ``"09:00"``, or of one day,
        ``"2027-03-01T09:00"`` (a template): the first such time from ``send_at`` on, or from the beginning of
        the send. Where a number can be in several time zones, the latest of them counts
    :param time_zone_column: the column with each recipient's time zone, like ``Europe/Lisbon``; where it is
        empty, and where this is left out, the zones that the number can be in
    :param send_window: the hours in which messages may go out, on each recipient's own clock, such as
        ``"Mon-Fri 09:00-18:00"`` or ``"Mon-Sat"``; or a list of these, of which any may be open. A number
        that can be in several time zones gets it when all of these are open
    :param holidays: send nothing on public holidays: of the country of each number with ``True``, or of one,
        ``"DE"`` or ``"DE-BY"``; needs ``airflow-provider-twilio-comms[holidays]``
    :param variants: messages of which each person gets one, always the same: ``{"a": {"content": ...},
        "b": {"content": ..., "weight": 2}}``. A variant without a content has that of all. Never shown
    :param holdout: the share of people who get none, such as 0.05: left out, with the reason ``holdout`` in
        the report and in ``rejects_path``
    :param campaign: the name by which people are assigned to variants and to the holdout (a template): the
        same ones in every campaign of that name, with whatever list
    :param if_passed: what to do about those for whom it is too late for their day: ``tomorrow``, the next day
        on which it is open; ``now``; or ``skip``, which leaves them out
    """

    template_fields: Sequence[str] = (
        *TwilioSendOperator.template_fields,
        "send_at_local",
        "time_zone_column",
        "campaign",
    )
    _start: float | None = None  # what times count from, in seconds since 1970
    _told: Mapping[str, Any] = MappingProxyType({})  # what the preflight's report says of this

    def __init__(
        self,
        *,
        spread_over: timedelta | float | None = None,
        messages_per_second: float | Literal["unlimited"] | None = None,
        pace_by: Literal["messages", "segments"] = "messages",
        send_at_local: str | None = None,
        time_zone_column: str | None = None,
        send_window: str | Sequence[str] | None = None,
        holidays: bool | str | None = None,
        if_passed: IfPassed = "tomorrow",
        content: Content | XComArg | None = None,
        variants: Mapping[str, Mapping[str, Any]] | None = None,
        holdout: float | None = None,
        campaign: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.spread_over: timedelta | None = None if spread_over is None else _length(spread_over)
        self.messages_per_second: float | str | None = pace_of(messages_per_second)
        self.pace_by: str = one_of("pace_by", pace_by, "messages", "segments")
        if send_at_local is not None and "{{" not in str(send_at_local):
            LocalTime.parse(send_at_local)
        self.send_at_local = send_at_local
        self.time_zone_column = time_zone_column
        self.send_window: tuple[Window, ...] = () if send_window is None else parse_windows(send_window)
        self.holidays: Holidays | None = _holidays(holidays)
        self.if_passed: IfPassed = one_of("if_passed", if_passed, "tomorrow", "now", "skip")
        content = content_of(content, rendered=self.render_content)
        self.content: Hidden[Content | None] = self.hide(content, rendered=self.render_content)
        self.variants: Hidden[dict[str, dict[str, Any]] | None] = self.hide(
            check_variants(variants, content, self.render_content), rendered=self.render_content
        )
        self.holdout: float = check_holdout(holdout)
        self.campaign = campaign
        split_of(campaign, self.variants.value, self.holdout)
        if if_passed == "now" and send_at_local is None:
            raise InvalidInput.at("if_passed", "'now' goes with send_at_local", "Give it, or leave it out")
        if if_passed == "skip" and not (send_at_local or self.send_window):
            fix = "Give send_at_local or send_window, or leave it out"
            raise InvalidInput.at("if_passed", "'skip' says nothing", fix)
        if time_zone_column is not None and not self.by_zone:
            fix = "Give send_at_local, send_window, holidays or quiet_hours, or leave it out"
            raise InvalidInput.at("time_zone_column", "says nothing without a local time", fix)

    @property
    def by_zone(self) -> list[str]:
        names = ("send_at_local", "send_window", "holidays")
        return [*super().by_zone, *(name for name in names if getattr(self, name))]

    @property
    def split(self) -> Split | None:
        """The way in which people are assigned, where they are."""
        return split_of(self.campaign, self.variants.value, self.holdout)

    @property
    def contents(self) -> Mapping[str, Any]:
        """The content of each variant."""
        return {name: each["content"] for name, each in (self.variants.value or {}).items()}

    def split_report(self, of: Plan | Outline | None) -> dict[str, Any]:
        """Describe variants and holdout for a result: names and counts."""
        if self.split is None:
            return {}
        counts = {"variants": of.variants, "held_out": of.held_out} if of is not None else {}
        return {"campaign": {**msgspec.to_builtins(self.split), **counts}}

    @abstractmethod
    def per_second(self, context: Context) -> float | None:
        """The pace at which Twilio is told to send, where it is told."""

    @property
    @abstractmethod
    def soonest(self) -> timedelta:
        """The shortest time ahead for which Twilio schedules."""

    def ledger(self, context: Context) -> Ledger:
        ledger, self._start = super().ledger(context), None
        head = ledger.head
        if not self._counts_from_start(context):
            return ledger
        if head is not None:
            self._start = head.since if head.start is None else head.start
        elif self.send_at is None and context.get("task_state_store") is None:
            raise InvalidInput.at(
                "send_at",
                "is missing: pace and local time count from it, or from the moment at which the first try "
                "began, which Airflow before 3.3 does not keep for a retry. Nothing was sent",
                "Give send_at, such as '{{ data_interval_end }}'",
            )
        elif self.if_passed == "skip":
            self._start = time.time()  # who is left out is decided while the list is read
        return ledger

    def _counts_from_start(self, context: Context) -> bool:
        """Tell whether times of this send follow from the time at which it began."""
        if self.spread_over is not None or self.send_at_local is not None or self.if_passed == "skip":
            return True
        return isinstance(self.messages_per_second, float) and self.per_second(context) is not None

    def schedule(self, send_at: datetime | None) -> Schedule:
        return Schedule(
            send_at,
            self.quiet_hours,
            self.soonest,
            self._start,
            LocalTime.parse(self.send_at_local) if self.send_at_local is not None else None,
            self.send_window,
            self.holidays,
            self.if_passed,
        )

    def ladder(self, context: Context, ledger: Ledger) -> Ladder | None:
        from airflow_provider_twilio_comms._core.campaigns.ladder import Ladder

        per_second = self.per_second(context)
        if self.spread_over is None and per_second is None:
            return None
        outline = ledger.head.outline if ledger.head else None
        if outline is None:
            return Ladder(self.spread_over, per_second)
        return Ladder(self.spread_over, per_second, outline.size, outline.recipients)

    def _screening(self, request: Any, counting: bool) -> Screening:
        from airflow_provider_twilio_comms._core.recipients.number_sets import numbers_of
        from airflow_provider_twilio_comms._tasks.planning import moment_of

        screening = super()._screening(request, counting)
        screening.zone_column = self.time_zone_column
        screening.by_country = self.holidays is not None and self.holidays.country is None
        if self.split is not None:
            assignment = Assignment(self.split, self.hook.config.hash_secret or "")
            screening.assignment = assignment
            texts = {name: each.text() for name, each in request.variants.items()}
            if screening.counts and texts:
                screening.counts.text_of = lambda each: texts[assignment.variant(numbers_of(each)[0])]
        if self.if_passed == "skip":
            schedule, now = self.schedule(moment_of(self.send_at)), time.time()
            screening.passed = lambda section: schedule.passed(section, now)
        return screening

    def _with_template(self, request: Any) -> Any:
        if not request.variants:
            return super()._with_template(request)
        found = {
            name: super(TwilioCampaignOperator, self)._with_template(each)
            for name, each in request.variants.items()
        }
        return varied(super()._with_template(replace(request, variants={}, split=None)), found, request.split)

    def _asked_for_more(self, counting: bool) -> bool:
        paced = self.spread_over is not None or isinstance(self.messages_per_second, float)
        return super()._asked_for_more(counting) or bool(paced or self.by_zone or self.split)

    def _check_plan(self, plan: Plan, request: Any, screening: Screening, context: Context) -> None:
        if self._start is None and self._counts_from_start(context):
            self._start = time.time()
            if any(chunk.after for chunk in plan.chunks):
                # Else the first rungs would fall together, on the first moment that can be scheduled.
                self._start += (self.soonest + MARGIN).total_seconds() if self.soonest else 0.0
        self._told = {**self._times_of(plan), **self.split_report(plan)}
        super()._check_plan(plan, request, screening, context)

    def complete_report(self, report: dict[str, Any], request: Any, context: Context) -> None:
        report |= self._told

    def _times_of(self, plan: Plan) -> dict[str, Any]:
        """The times at which messages go out, for the preflight's report; nothing if all go out at once."""
        from airflow_provider_twilio_comms._tasks.planning import moment_of

        schedule, now = self.schedule(moment_of(self.send_at)), time.time()
        times = {schedule.at(chunk, now) for chunk in plan.chunks}
        last = max(filter(None, times), default=None)
        if last is None:
            return {}
        first = None if None in times else min(filter(None, times))
        told = {"first": first and first.isoformat(), "last": last.isoformat(), "times": len(times)}
        self.log.info(
            "Messages go out at %d times, from %s to %s", len(times), told["first"] or "now", told["last"]
        )
        return {"schedule": told}


def _length(given: timedelta | float) -> timedelta:
    length = timedelta(seconds=seconds(given))  # pendulum's own durations cannot be divided by others
    if not timedelta() < length <= FARTHEST:
        fix = f"Give a timedelta, or seconds, up to {FARTHEST.days} days"
        raise InvalidInput.at("spread_over", f"{given!r} is not possible", fix)
    return length


def _holidays(given: bool | str | None) -> Holidays | None:
    if given in (None, False):
        return None
    if given is True:
        return Holidays()
    if not isinstance(given, str) or not given.strip():
        raise InvalidInput.at("holidays", f"{given!r} is not a country", "Give True, or a code like 'DE'")
    return Holidays(given.strip())
