"""Whom a send reaches, and what it may be at most: checked before anything is sent."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Protocol

from airflow.sdk import XComArg
from airflow.sdk.exceptions import AirflowSkipException

from airflow_provider_twilio_comms._core.planning.limits import Limits, OnDuplicate
from airflow_provider_twilio_comms._tasks.operator import one_of
from airflow_provider_twilio_comms.exceptions import InvalidInput, NoRecipients, TwilioError
from airflow_provider_twilio_comms.operators.guards import TwilioTimedOperator

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_provider_twilio_comms._core.planning.plan import Chunk, Plan
    from airflow_provider_twilio_comms._core.planning.screening import Screen
    from airflow_provider_twilio_comms._core.planning.texts import Template, Text
    from airflow_provider_twilio_comms._core.recipients.reader import Reader
    from airflow_provider_twilio_comms.client.config import Config

__all__ = ["REPORT", "TwilioGuardedOperator"]

REPORT = "preflight"  # the XCom of the report


class _Unaddressed(Protocol):
    """What goes to everyone, as far as it is looked at before anybody is known."""

    @property
    def envelope(self) -> int:
        """Bytes of a request without its recipients."""

    @property
    def template_sid(self) -> str | None:
        """The content template at Twilio that says it, if one does."""

    def with_template(self, template: Template) -> Any:
        """The same, with what the content template says."""

    def text(self) -> Text:
        """What each recipient's text will be."""


class TwilioGuardedOperator(TwilioTimedOperator):
    """Base of the operators that send. What they count is in the log and in the XCom ``preflight``.

    :param default_region: the country (``US``) of numbers written without a country code
    :param on_invalid_recipient: ``fail`` before anything is sent, or ``skip`` and count them
    :param on_duplicate: of those with the same number, text all (``keep``), the ``first`` or the ``last``
    :param suppress: whom not to text: numbers; the path or URI of a file of them (one a line, CSV, JSON lines
        or Parquet; a template); ``{"sql", "conn_id"}``, whose first column they are; or a list of these
    :param allowed_recipients: patterns such as ``+1500555*``; whoever is outside is left out
    :param on_missing_variable: where somebody lacks a variable that has no default: ``warn`` or ``fail``
    :param max_recipients: refuse to send to more than so many
    :param max_segments: refuse to send more than so many segments in all; counts every text
    :param max_cost: refuse to send what may cost more, by the account's price list; counts every text
    :param quiet_hours: such as ``"21:00-08:00"``, on each recipient's own clock: whoever would be woken is
        scheduled for the end of it. A number that can be in several time zones is quiet with any of them
    :param rejects_path: where those left out are written as JSON lines with the reason (a template)
    :param snapshot_path: a folder in which what was planned is kept, numbers included, so that a later try
        sends exactly that, whatever the source says by then (a template)
    :param on_empty: where there is nobody to text: ``fail`` or ``skip`` the task
    """

    template_fields: Sequence[str] = (
        *TwilioTimedOperator.template_fields,
        "rejects_path",
        "snapshot_path",
    )
    counts_all: bool = False  # whether texts and countries are counted even where no limit asks
    recipients_per_request: int = 1
    usual_duplicates: ClassVar[OnDuplicate] = "keep"

    def __init__(
        self,
        *,
        default_region: str | None = None,
        on_invalid_recipient: Literal["fail", "skip"] = "fail",
        on_duplicate: OnDuplicate | None = None,
        suppress: str | Sequence[Any] | Mapping[str, Any] | XComArg | None = None,
        allowed_recipients: Sequence[str] | None = None,
        on_missing_variable: Literal["warn", "fail"] = "warn",
        max_recipients: int | None = None,
        max_segments: int | None = None,
        max_cost: float | str | None = None,
        quiet_hours: str | Sequence[str] | None = None,
        rejects_path: str | None = None,
        snapshot_path: str | None = None,
        on_empty: Literal["fail", "skip"] = "fail",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.hide(suppress=suppress, allowed_recipients=allowed_recipients)
        self.default_region = default_region
        self.on_invalid_recipient: Literal["fail", "skip"] = one_of(
            "on_invalid_recipient", on_invalid_recipient, "fail", "skip"
        )
        self.on_duplicate: OnDuplicate = one_of(
            "on_duplicate", on_duplicate or self.usual_duplicates, "keep", "first", "last"
        )
        self.on_missing_variable: Literal["warn", "fail"] = one_of(
            "on_missing_variable", on_missing_variable, "warn", "fail"
        )
        self.limits: Limits = Limits.checked(max_recipients, max_segments, max_cost)
        self.quiet_hours = quiet_hours
        self.rejects_path = rejects_path
        self.snapshot_path = snapshot_path
        self.on_empty: Literal["fail", "skip"] = one_of("on_empty", on_empty, "fail", "skip")

    def rendered_fields(self) -> Sequence[str]:
        return ("suppress", "allowed_recipients")

    def _rows(self) -> Iterable[Any]:
        """The recipients as given, one by one."""
        raise NotImplementedError

    @contextmanager
    def _planned(self, request: _Unaddressed, context: Context, name: str, real: bool) -> Iterator[Plan]:
        """Everything read, checked and counted, or what an earlier try kept of it."""
        from airflow_provider_twilio_comms._core.planning import snapshot
        from airflow_provider_twilio_comms._tasks.object_storage import folder
        from airflow_provider_twilio_comms._tasks.planning import planning

        place = folder(self.snapshot_path, name) if self.snapshot_path and real else None
        earlier = snapshot.kept(place) if place is not None else None
        if earlier is not None:
            self.log.info("Taking the plan of an earlier try: %s recipients", f"{earlier.recipients:,}")
            yield earlier
            return
        config = self.hook.config
        counting = self.counts_all or not real or config.dry_run or self.limits.of_texts
        if counting or self.on_missing_variable == "fail":
            request = self._with_template(request)
        screen = self._screen(request, counting)
        try:
            with planning(
                self._rows(),
                self._reader(request, config),
                self.log,
                screen=screen,
                envelope=request.envelope,
                at_most=self.recipients_per_request,
                on_invalid=self.on_invalid_recipient,
                rejects_path=self.rejects_path,
            ) as plan:
                self._judged(plan, screen, context)
                if place is not None:
                    snapshot.keep(place, plan)
                yield plan
        except NoRecipients as error:
            if self.on_empty == "skip":
                raise AirflowSkipException(str(error)) from None
            raise

    def _reader(self, request: Any, config: Config) -> Reader:
        """What makes recipients of them."""
        raise NotImplementedError

    def _with_template(self, request: _Unaddressed) -> Any:
        """Where the text is a content template at Twilio: what it says, and which variables it needs."""
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

    def _screen(self, request: _Unaddressed, counting: bool) -> Screen | None:
        """Who is left out and what is counted; None where the author asks for neither."""
        from airflow_provider_twilio_comms._core.planning.screening import Counts, Screen
        from airflow_provider_twilio_comms.operators.suppression import suppressed
        from airflow_provider_twilio_comms.sending.guards_patterns import matching

        allowed, unwanted = self.shown("allowed_recipients"), self.shown("suppress")
        if not self._wanted(counting) and self.on_duplicate == "keep":
            return None
        return Screen(
            duplicates=self.on_duplicate,
            suppressed=suppressed(unwanted, self.default_region) if unwanted else None,
            allows=matching(allowed) if allowed else None,
            limits=self.limits,
            counts=Counts(request.text()) if counting else None,
            by_zone=bool(self.quiet_hours),
        )

    def _wanted(self, counting: bool) -> bool:
        """Whether the author wants more than is usual."""
        asked = (counting, self.shown("allowed_recipients"), self.shown("suppress"), self.quiet_hours)
        unusual = self.on_duplicate != self.usual_duplicates
        return any(asked) or unusual or self.limits.recipients is not None

    def _judged(self, plan: Plan, screen: Screen | None, context: Context) -> None:
        """Complete the report, show it, and refuse what is over a limit."""
        from airflow_provider_twilio_comms.operators.report import shown

        if plan.lacking and self.on_missing_variable == "fail":
            names = ", ".join(f"{name} ({count:,})" for name, count in plan.lacking.items())
            problem = f"recipients lack variables that have no default: {names}"
            raise InvalidInput.at("content", problem, "Give them, or a default: {{ name | default: '...' }}")
        if screen is None or not (plan.rejected or self._wanted(screen.counts is not None)):
            return
        plan.report = {
            "rows": plan.rows,
            "recipients": plan.recipients,
            "requests": len(plan.chunks),
            "rejected": dict(plan.reasons),
            "lacking": dict(plan.lacking),
        }
        if screen.counts:
            plan.report |= screen.counts.to_dict()
            plan.report["cost"] = self._cost(plan.report["countries"]) if plan.report["segments"] else None
        context["ti"].xcom_push(REPORT, plan.report)
        self.log.info("%s", shown(plan.report))
        self.limits.check(plan.report)

    def _cost(self, countries: dict[str, Any]) -> dict[str, Any] | None:
        from airflow_provider_twilio_comms._core.planning.costs import priced, prices

        try:
            return priced(countries, self.hook.run(prices(countries)))
        except TwilioError as error:
            if self.limits.cost is not None:
                raise
            self.log.warning("The prices cannot be read, so there is no estimate: %s", error)
            return None

    def _when(self, chunk: Chunk, send_at: datetime | None, now: float) -> datetime | None:
        """When a chunk is to be sent; None is at once."""
        from airflow_provider_twilio_comms._core.planning.quiet_hours import QuietHours

        hours = QuietHours.read(self.quiet_hours)
        if hours is None:
            return send_at
        moment = send_at or datetime.fromtimestamp(now, timezone.utc)
        later = hours.over(moment, chunk.zones)
        if later > moment:
            self.log.info(
                "Chunk %d (%s recipients, %s) waits at Twilio until %s, the end of its quiet hours",
                chunk.number + 1,
                f"{chunk.count:,}",
                ", ".join(chunk.zones),
                later.isoformat(),
            )
            return later
        return send_at
