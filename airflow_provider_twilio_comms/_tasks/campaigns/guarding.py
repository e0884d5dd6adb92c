"""Base of the operators that send: consent and a frequency cap, kept in tables, before anything goes out."""

from __future__ import annotations

import time
from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal

from airflow_provider_twilio_comms._core.planning.limits import Limits
from airflow_provider_twilio_comms._core.planning.quiet_hours import Schedule
from airflow_provider_twilio_comms._tasks.arguments import one_of
from airflow_provider_twilio_comms._tasks.operator import TwilioOperator
from airflow_provider_twilio_comms.client.config import FrequencyCap
from airflow_provider_twilio_comms.client.config import frequency_cap as read_cap
from airflow_provider_twilio_comms.exceptions import InvalidInput

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_provider_twilio_comms._core.campaigns.consent import ConsentTable
    from airflow_provider_twilio_comms._core.campaigns.frequency import Claims
    from airflow_provider_twilio_comms._core.campaigns.guard import CampaignGuard
    from airflow_provider_twilio_comms._core.planning.plan import Chunk, Plan
    from airflow_provider_twilio_comms._core.planning.screening import Screening
    from airflow_provider_twilio_comms._core.recipients.reader import Reject
    from airflow_provider_twilio_comms._core.sending.ledger import Ledger
    from airflow_provider_twilio_comms._tasks.campaigns.database import Database
    from airflow_provider_twilio_comms.client.config import Config

Purpose = Literal["transactional", "emergency", "legal"]


class TwilioGuardedOperator(TwilioOperator):
    """Base of the operators that send, with what the connection's ``consent`` and ``frequency_cap`` ask for.

    :param purpose: why these messages go to people who have opted out, too, and are not held back by the
        connection's ``frequency_cap``: ``transactional``, ``emergency`` or ``legal``. It stands in the
        report. Left out, whoever has opted out by the connection's ``consent`` is left out
    :param frequency_cap: at most so many messages to a person in any so many days, over all sends that count
        in the same table: ``{"messages": 2, "days": 7}``; with ``conn_id`` and ``table`` where the
        connection's ``frequency_cap`` or ``consent`` does not say where, and ``create_table`` to make the
        table. In place of the connection's, also where a ``purpose`` is given
    """

    _guard: CampaignGuard | None = None

    def __init__(
        self,
        *,
        purpose: Purpose | None = None,
        frequency_cap: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.purpose: Purpose | None = (
            None if purpose is None else one_of("purpose", purpose, "transactional", "emergency", "legal")
        )
        self.frequency_cap = frequency_cap
        if frequency_cap is not None:
            read_cap(frequency_cap)

    @contextmanager
    def planned(self, request: Any, context: Context, ledger: Ledger, real: bool) -> Iterator[Plan]:
        """Everything read, checked and counted; whoever was claimed and not texted is released at the end."""
        config = self.hook.config
        consent, cap = self._consent(config), self._claims(config, ledger)
        databases: list[Database] = [found[1] for found in (consent, cap) if found]
        try:
            if consent or cap:
                from airflow_provider_twilio_comms._core.campaigns.guard import CampaignGuard

                self._guard = CampaignGuard(
                    consent and consent[0],
                    cap and cap[0],
                    claiming=real and not config.dry_run,
                    when=self._when,
                )
                if cap and cap[0].cap.create_table:
                    cap[0].create()
            with self.plan(request, context, ledger, real) as plan:
                yield plan
        finally:
            self._release()
            for each in databases:
                each.close()

    @abstractmethod
    def plan(self, request: Any, context: Context, ledger: Ledger, real: bool) -> Any:
        """A context with everything read, checked and counted, or what an earlier try kept of it."""

    @abstractmethod
    def schedule(self, send_at: datetime | None) -> Schedule:
        """The time at which each part goes out."""

    @property
    def guards(self) -> tuple[str, ...]:
        """The names of the guards that are on."""
        config = self.hook.config
        named = {
            "consent": config.consent and not self.purpose,
            "frequency_cap": self._cap(config),
        }
        return tuple(name for name, on in named.items() if on)

    def guard_report(self) -> dict[str, Any]:
        """The guards' counts for the preflight's report."""
        cap = self._cap(self.hook.config)
        found: dict[str, Any] = {"purpose": self.purpose} if self.purpose else {}
        if cap:
            found["frequency_cap"] = {"messages": cap.messages, "days": cap.days}
        return found

    def early_limits(self, limits: Limits) -> Limits:
        """The limits that hold while rows are read: whoever is left out later does not count."""
        return Limits() if self._guard is not None else limits

    def guarded(
        self, ledger: Ledger, screening: Screening
    ) -> Callable[[Plan, Callable[[Reject], None]], None] | None:
        """The function that leaves people out of a plan, where there is a guard."""
        if self._guard is None:
            return None

        def leave_out(plan: Plan, reject: Callable[[Reject], None]) -> None:
            from airflow_provider_twilio_comms._core.recipients.reader import Address

            def subtract(person: Any) -> None:
                if screening.counts:
                    screening.counts.subtract(Address(person.numbers[0], "PHONE", person.variables))

            self.guard_plan(plan, ledger, reject, subtract)

        return leave_out

    def guard_plan(
        self,
        plan: Plan,
        ledger: Ledger,
        reject: Callable[[Reject], None] = lambda reject: None,
        subtract: Callable[[Any], None] = lambda person: None,
    ) -> None:
        """Leave people out of a plan. Raises :class:`NoRecipients` where nobody is left of a new send."""
        from airflow_provider_twilio_comms._core.planning.plan import nobody

        if self._guard is None:
            return
        begun = {entry.fingerprint: entry for entry in ledger.entries() if entry.state != "refused"}
        self._guard.screen(plan, begun, reject, subtract)
        if not plan.recipients and not ledger.begun:
            raise nobody(plan.rows, plan.left_out())

    def _release(self) -> None:
        guard, self._guard = self._guard, None
        if guard is None:
            return
        try:
            guard.release()
        except Exception as error:  # whatever ended the try is more important
            self.log.warning("What was claimed of frequency_cap and not sent stays claimed: %s", error)

    def _when(self, part: Chunk) -> float:
        """The time at which a part goes out, in seconds since 1970."""
        from airflow_provider_twilio_comms._tasks.planning import moment_of

        now = time.time()
        due = self.schedule(moment_of(getattr(self, "send_at", None))).at(part, now)
        return max(now, due.timestamp()) if due else now

    def _cap(self, config: Config) -> FrequencyCap | None:
        if self.frequency_cap is not None:
            return read_cap(self.frequency_cap)
        return None if self.purpose else config.frequency_cap

    def _consent(self, config: Config) -> tuple[ConsentTable, Database] | None:
        from airflow_provider_twilio_comms._core.campaigns.consent import ConsentTable
        from airflow_provider_twilio_comms._tasks.campaigns.database import Database
        from airflow_provider_twilio_comms._tasks.campaigns.people import hasher
        from airflow_provider_twilio_comms._tasks.sql_loading import table_name

        if config.consent is None:
            return None
        if self.purpose:
            self.log.warning(
                "purpose=%r: whoever has opted out is texted, too, and the connection's frequency_cap does "
                "not hold",
                self.purpose,
            )
            return None
        table = table_name(config.consent.table)
        database = Database(config.consent.conn_id, table, "of those who have opted out")
        hashed = hasher(config) if config.hash_secret else None
        return ConsentTable(database, table, hashed), database

    def _claims(self, config: Config, ledger: Ledger) -> tuple[Claims, Database] | None:
        from airflow_provider_twilio_comms._core.campaigns.frequency import TABLE, Claims
        from airflow_provider_twilio_comms._tasks.campaigns.database import Database
        from airflow_provider_twilio_comms._tasks.campaigns.people import hasher
        from airflow_provider_twilio_comms._tasks.sql_loading import table_name

        cap = self._cap(config)
        if cap is None:
            return None
        usual = config.frequency_cap or FrequencyCap(0, 0)
        conn_id = cap.conn_id or usual.conn_id or (config.consent and config.consent.conn_id)
        if not conn_id:
            fix = "Give it a conn_id, here or in the connection's frequency_cap, or set consent there"
            raise InvalidInput.at("frequency_cap", "names no database to count in", fix)
        table = table_name(cap.table or usual.table or TABLE)
        database = Database(conn_id, table, "that frequency_cap counts in")
        return Claims(database, table, cap, ledger.name, hasher(config)), database
