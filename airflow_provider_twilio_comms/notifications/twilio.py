"""Alerts by SMS, WhatsApp or RCS, for callbacks and deadlines; many failures make one message."""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Callable, Collection, Hashable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, cast

from airflow.sdk import BaseNotifier

from airflow_provider_twilio_comms._core.sending.counters import verdict_of
from airflow_provider_twilio_comms._tasks.operator import NumbersStayText
from airflow_provider_twilio_comms.client._sharing import Shared
from airflow_provider_twilio_comms.exceptions import InvalidInput, TwilioError, scrub
from airflow_provider_twilio_comms.hooks import _metrics
from airflow_provider_twilio_comms.notifications._arguments import (
    accessors,
    at_least_one,
    quiet_hours_of,
    window_of,
)

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_provider_twilio_comms._core.alerts.alert import Alert
    from airflow_provider_twilio_comms._core.alerts.send import Order
    from airflow_provider_twilio_comms._core.alerts.store import AlertStore, Gate
    from airflow_provider_twilio_comms._core.planning.quiet_hours import QuietHours
    from airflow_provider_twilio_comms._core.sending.message import OutgoingMessage
    from airflow_provider_twilio_comms.api.flows import Flow
    from airflow_provider_twilio_comms.client.config import Config
    from airflow_provider_twilio_comms.hooks.twilio import TwilioHook

__all__ = ["TwilioNotifier"]

log: logging.Logger = logging.getLogger(__name__)

# Alerts of one process at the same time use one hook, and read the connection once: each read would wait for
# whatever else the process asks of Airflow.
_hooks: Shared[TwilioHook] = Shared()

HOUR = 3600.0
_NO = frozenset({"", "false", "0", "no", "none", "off"})


class TwilioNotifier(NumbersStayText, BaseNotifier):
    """Text somebody that something happened, and do not text them about the other 999.

    For ``on_failure_callback``, ``on_retry_callback`` and ``on_success_callback`` of tasks and DAGs, and for
    the ``AsyncCallback`` or ``SyncCallback`` of a ``DeadlineAlert``.

    .. code-block:: python

        alert = TwilioNotifier(to="{{ var.value.on_call }}", from_="+15005550006", on_recovery=True)
        DAG("orders", on_failure_callback=alert, on_success_callback=alert)

    The text, recipients, sender, condition and key are templates, rendered when the alert is sent:
    with Airflow's context (of which a deadline has ``dag_run`` and ``deadline`` only), ``var``, ``conn`` and
    ``alert``: an :class:`~airflow_provider_twilio_comms._core.alerts.alert.Alert`, which knows ``dag_id``,
    ``task_id``, ``state``, ``try_number``, ``tries``, ``error``, ``link``, ``held_back`` ... everywhere.

    The store of what was sent and held back is Airflow's Variables, whose names start with
    ``twilio_alerts``, because tasks, the DAG processor and the triggerer can all write those (it takes
    Airflow 3.3), or in the table ``twilio_alerts`` of the database that ``alert_store`` names. A failed
    message is logged, and never fails anything; one whose outcome nobody knows is not repeated.

    :param to: a number, a channel's address (``whatsapp:+...``), or several. Airflow stores the arguments of
        a ``DeadlineAlert``'s callback as they are written: there, name a Variable, as above
    :param text: the text; if left out, the connection's ``alert_template``, else one of one segment that
        says what, which state, which try, the error's first line, and where to look
    :param from_: the sender; else the messaging service chooses, else the connection's ``default_sender``
    :param messaging_service_sid: the service that sends it; RCS needs one
    :param content_sid: a content template, instead of ``text``; WhatsApp needs one
    :param content_variables: its variables by name, such as ``{"1": "{{ alert.text }}"}``
    :param twilio_conn_id: the connection, of type ``twilio``
    :param severity: what the text starts with, and ``always_for`` goes by
    :param dedupe_key: what counts as the same alert, if told to the same people; DAG, task and state, if left
        out
    :param window: one message per key and window, of up to seven days; None sends each
    :param max_per_hour: how many alerts may go out over the connection in any hour
    :param on_recovery: True, or a text: a success says so if an alert was sent for the key and state
        ``failed`` or ``up_for_retry``, and is silent otherwise
    :param send_if: a template, such as ``{{ not alert.will_retry and not alert.backfill }}`` or
        ``{{ alert.instance == "production" }}``, or a function of the context, which has ``alert`` too
    :param quiet_hours: ``"22:00-07:00 Europe/Lisbon"``: what happens then is held back and counted
    :param always_for: severities that know no quiet hours
    :param max_segments: where ``text`` is cut
    :param without_store: what happens where the store of alerts does not answer: ``send`` or ``hold``. That
        others are sending the same alert is an answer: then it is held back
    :param alert_store: the connection to a PostgreSQL, MySQL, MariaDB or SQLite database that keeps what was
        sent and held back, which takes milliseconds where Variables take tenths of a second; the Twilio
        connection's ``alert_store``, if left out. ``""`` is Airflow's Variables, whatever that says
    :param default_region: the country (``US``) of numbers written without a country code
    """

    def __init__(
        self,
        *,
        to: str | Iterable[str],
        text: str | None = None,
        from_: str | None = None,
        messaging_service_sid: str | None = None,
        content_sid: str | None = None,
        content_variables: Mapping[str, str] | None = None,
        twilio_conn_id: str = "twilio_default",
        severity: str | None = None,
        dedupe_key: str | None = None,
        window: timedelta | float | None = timedelta(minutes=15),
        max_per_hour: int | None = None,
        on_recovery: bool | str = False,
        send_if: str | Callable[[Context], Any] | None = None,
        quiet_hours: str | None = None,
        always_for: Collection[str] = (),
        max_segments: int = 3,
        without_store: Literal["send", "hold"] = "send",
        alert_store: str | None = None,
        default_region: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.to: str | list[str] = to if isinstance(to, str) else list(to)
        self.text = text
        self.sender: dict[str, str | None] = {"from_": from_, "messaging_service_sid": messaging_service_sid}
        self.content_sid = content_sid
        self.content_variables = content_variables
        self.twilio_conn_id = twilio_conn_id
        self.severity = severity
        self.dedupe_key = dedupe_key
        self.window: float = window_of(window)
        self.max_per_hour: int | None = at_least_one("max_per_hour", max_per_hour)
        self.on_recovery = on_recovery
        self.send_if = send_if
        self.quiet_hours: QuietHours | None = quiet_hours_of(quiet_hours)
        self.always_for: frozenset[str] = frozenset(always_for)
        self.max_segments: int = at_least_one("max_segments", max_segments) or 1
        if without_store not in ("send", "hold"):
            raise InvalidInput.at("without_store", f"{without_store!r} is unknown", "Use send or hold")
        self.without_store = without_store
        self.alert_store = alert_store
        self.default_region = default_region

    def get_template_env(self, dag: Any = None) -> Any:
        """Set up Jinja, without the DAG's filters if it is a serialized DAG, as in ``dag.test()``."""
        return super().get_template_env(dag if hasattr(dag, "get_template_env") else None)

    def notify(self, context: Context) -> None:
        """Send the alert, in a worker or the DAG processor."""
        with self._log_errors():
            hook = _hooks.enter(self._hook_key, lambda: self._hook(read=True))
            try:
                hook.run(self._alert(context, hook, writable="deadline" not in context))
            finally:
                _hooks.leave(self._hook_key)

    async def async_notify(self, context: Context) -> None:
        """Send the alert, on the triggerer's event loop."""
        with self._log_errors():
            hook = await asyncio.to_thread(_hooks.enter, self._hook_key, self._hook)  # its imports take time
            try:
                await hook.arun(self._alert(context, hook))
            finally:
                _hooks.leave(self._hook_key)

    @property
    def _hook_key(self) -> Hashable:
        return os.getpid(), self.twilio_conn_id

    def _hook(self, *, read: bool = False) -> TwilioHook:
        from airflow_provider_twilio_comms.hooks.twilio import TwilioHook

        hook = TwilioHook(self.twilio_conn_id)
        if read:
            _ = hook.config
        return hook

    @contextmanager
    def _log_errors(self) -> Iterator[None]:
        """No alert breaks what it is about: whatever is wrong is logged."""
        try:
            yield
        except Exception as error:
            verdict = verdict_of(error) if isinstance(error, TwilioError) else "unknown"
            _metrics.count("twilio.alerts.failed", 1, conn_id=self.twilio_conn_id, verdict=verdict)
            log.error("THE ALERT WAS NOT SENT. %s: %s", type(error).__name__, scrub(str(error)))

    def _alert(self, context: Context, hook: TwilioHook, writable: bool = True) -> Flow[int]:
        from airflow_provider_twilio_comms._core.alerts.send import send_alert
        from airflow_provider_twilio_comms.api.flows import aside

        order = yield from aside(lambda: self._order(dict(context), hook.config))
        return (yield from send_alert(order, self._store(hook.config, writable))) if order else 0

    def _store(self, config: Config, writable: bool) -> AlertStore:
        """The user's database, where one is named; else Airflow's Variables, which may be read-only here."""
        from airflow_provider_twilio_comms._core.alerts.names import NameStore
        from airflow_provider_twilio_comms._core.alerts.table import TableStore
        from airflow_provider_twilio_comms.notifications._database import HookDatabase
        from airflow_provider_twilio_comms.notifications._variables import VariableBoard

        conn_id = config.alert_store if self.alert_store is None else self.alert_store
        return TableStore(HookDatabase(conn_id)) if conn_id else NameStore(VariableBoard(writable=writable))

    def _order(self, context: dict[str, Any], config: Config) -> Order | None:
        """Put together the alert and its gates; None where the author wants nothing sent."""
        from airflow_provider_twilio_comms._core.alerts.send import Order
        from airflow_provider_twilio_comms._core.sending.message import addresses
        from airflow_provider_twilio_comms.notifications._context import alert_of

        alert = alert_of(context, self.severity)
        context = {**accessors(), **context, "alert": alert}
        if not self._is_wanted(context):
            log.info("send_if says no: no alert about %s", alert.what)
            return None
        if config.dry_run:
            log.info("Dry run: no alert about %s", alert.what)
            return None
        to = addresses(self._render_text(self.to, context), self.default_region)
        recovering = None
        if self.on_recovery and alert.state == "success":
            states = [replace(alert, state=state) for state in ("failed", "up_for_retry")]
            gates = [self._gate({**context, "alert": each}, to) for each in states]
            recovering = list({gate.scope: gate for gate in gates}.values())
        return Order(
            alert,
            self._gates(context, to),
            partial(self._compose, context, config, to),
            quiet=self._is_quiet(),
            recovering=recovering,
            without_store=self.without_store,
            counting=_metrics.counting("alerts", conn_id=self.twilio_conn_id),
        )

    def _gates(self, context: dict[str, Any], to: Sequence[str]) -> list[Gate]:
        """List a deadline's own gate, since each triggerer runs its callback; the key's; the connection's."""
        from airflow_provider_twilio_comms._core.alerts.store import KEEP, Gate, scope

        alert: Alert = context["alert"]
        gates = [self._gate(context, to)]
        if alert.deadline_id:
            own = scope("deadline", self.twilio_conn_id, *to, alert.deadline_id)
            gates.insert(0, Gate(own, KEEP, note=f"{alert.what}: one deadline", counted=False))
        if self.max_per_hour is not None:
            own, note = scope("connection", self.twilio_conn_id), f"the hour of {self.twilio_conn_id}"
            gates.append(Gate(own, HOUR, self.max_per_hour, note))
        return gates

    def _gate(self, context: dict[str, Any], to: Sequence[str]) -> Gate:
        from airflow_provider_twilio_comms._core.alerts.store import Gate, scope

        alert: Alert = context["alert"]
        key = f"{alert.dag_id}|{alert.task_id or ''}|{alert.state}"
        if self.dedupe_key is not None:
            key = str(self._render_text(self.dedupe_key, context, key))
        return Gate(scope("key", self.twilio_conn_id, *to, key), self.window, note=key)

    def _compose(
        self, context: dict[str, Any], config: Config, to: Sequence[str], alert: Alert
    ) -> OutgoingMessage:
        """Write the message, once it is known how many others it stands for."""
        from airflow_provider_twilio_comms._core.sending.message import compose

        context = {**context, "alert": alert}
        options = {name: self._render_text(value, context) for name, value in self.sender.items() if value}
        if not options:
            options["from_"] = config.default_sender
        if self.content_sid:
            options["content_sid"] = self._render_text(self.content_sid, context)
            variables = self.content_variables or {}
            options["content_variables"] = {
                name: str(self._render_text(value, context)) for name, value in variables.items()
            }
        else:
            options["body"] = self._body(context, config)
        return compose(to, options, config.allows)

    def _body(self, context: dict[str, Any], config: Config) -> str:
        from airflow_provider_twilio_comms._core.alerts.segments import cut

        alert: Alert = context["alert"]
        template = self.text or config.alert_template
        if alert.recovered:
            template = self.on_recovery if isinstance(self.on_recovery, str) else None
        if template is None:
            return alert.text
        text = str(self._render_text(template, context, alert.text)).strip() or alert.text
        said = not alert.held_back or "held" in template or text == alert.text
        return cut(text, self.max_segments, "" if said else f" ({alert.held})")

    def _render_text(self, template: Any, context: dict[str, Any], instead: str | None = None) -> Any:
        """Render a template; where that fails and something else will do, log it and return that."""
        if isinstance(template, str) and "{" not in template:
            return template
        try:
            environment = self.get_template_env(dag=context.get("dag"))
            return self.render_template(template, cast(Any, context), environment)
        except Exception as error:  # an alert that is not pretty is better than none
            if instead is None:
                raise InvalidInput.at(
                    "template", scrub(f"{type(error).__name__}: {error}"), "Fix it"
                ) from None
            log.error("A template of the alert fails (%s), so the default is used", scrub(str(error)))
            return instead

    def _is_wanted(self, context: dict[str, Any]) -> bool:
        if callable(self.send_if):
            try:
                return bool(self.send_if(cast(Any, context)))
            except Exception as error:
                log.error("send_if fails (%s), so the alert is sent", scrub(str(error)))
                return True
        if self.send_if is None:
            return True
        return str(self._render_text(self.send_if, context, "true")).strip().lower() not in _NO

    def _is_quiet(self) -> bool:
        if self.quiet_hours is None or self.severity in self.always_for:
            return False
        moment = datetime.fromtimestamp(time.time(), timezone.utc)
        return self.quiet_hours.over(moment, ()) > moment
